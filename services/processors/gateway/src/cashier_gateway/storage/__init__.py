"""The gateway's tables and the accounts file."""
