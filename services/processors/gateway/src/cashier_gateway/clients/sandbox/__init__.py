"""Cashier's own imitation processor, over its charges API."""
