"""One verb per file; only here transactions are opened."""
