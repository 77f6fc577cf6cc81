"""What a processor does: each change goes through here, once."""
