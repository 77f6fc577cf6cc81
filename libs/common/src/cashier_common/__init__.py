"""Plumbing that every service of Cashier shares; no payment nouns except money, ids and errors."""
