"""Files in which processors list disputes, read whole or refused."""
