"""Adapters: one folder per processor, a wire file beside each adapter and declines as data."""
