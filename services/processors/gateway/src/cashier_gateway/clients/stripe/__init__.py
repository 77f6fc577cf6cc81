"""Stripe and what speaks its API, over the official library."""
