"""Loops that finish what callers and crashes left behind."""
