"""Stripe's API as documented, over the sandbox's own ledger."""
