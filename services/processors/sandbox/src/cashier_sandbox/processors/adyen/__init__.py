"""Adyen's Checkout API v71 and card payouts, imitated over the same ledger."""
