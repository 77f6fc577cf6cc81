"""Tables and SQL of the router."""
