"""The gateway rail: carries operations to processors that speak HTTP."""
