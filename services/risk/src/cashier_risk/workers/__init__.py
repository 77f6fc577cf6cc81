"""Loops beside the calls: sealing, and filling the fast counters."""
