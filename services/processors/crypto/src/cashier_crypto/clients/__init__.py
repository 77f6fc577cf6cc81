"""Adapters: nodes of a chain over JSON-RPC."""
