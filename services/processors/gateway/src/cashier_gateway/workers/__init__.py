"""Loops: what a crash left is brought to rest, what was written is sealed."""
