"""What the service does, one verb a file; the only place that opens transactions."""
