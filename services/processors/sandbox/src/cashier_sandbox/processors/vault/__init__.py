"""A token vault: one token of ours becomes the token that a processor account understands."""
