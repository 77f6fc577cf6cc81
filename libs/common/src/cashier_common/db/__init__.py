"""The one way to PostgreSQL: statements compiled once, units of work sent as one statement."""
