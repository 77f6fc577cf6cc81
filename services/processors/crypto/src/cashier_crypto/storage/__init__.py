"""The tables of the crypto rail, the statements on them, and the accounts file."""
