"""One verb per file; the only place that opens transactions."""
