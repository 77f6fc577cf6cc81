"""Settlement files, one module per real format."""
