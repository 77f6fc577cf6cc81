"""The schema's history; each file is one transaction."""
