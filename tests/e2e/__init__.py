"""Calls from outside into the whole mesh; a package, so that the mesh ends with its tests."""
