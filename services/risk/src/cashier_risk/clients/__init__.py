"""Adapters to what is not PostgreSQL: the fast counters in Redis."""
