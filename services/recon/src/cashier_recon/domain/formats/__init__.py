"""One module per statement format: bytes in, lines and rejected rows out."""
