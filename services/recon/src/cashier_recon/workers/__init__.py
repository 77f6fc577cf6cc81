"""Loops: the feed, unfinished runs, the sealer."""
