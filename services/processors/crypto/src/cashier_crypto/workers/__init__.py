"""Loops: the watcher of the chain, and the pool of addresses."""
