"""Adyen and what speaks its Checkout API, over plain JSON."""
