"""The smallest service: two tables, the plumbing's tables, and migrations of both phases."""
