"""One verb per file; the only place that opens units of work."""
