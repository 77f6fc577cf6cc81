"""Versions of the crypto rail's schema."""
