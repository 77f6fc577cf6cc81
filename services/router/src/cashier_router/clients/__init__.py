"""The other services, as the flows see them."""
