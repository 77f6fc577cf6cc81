"""The control API: how a test or a demo scripts disasters and asks for the truth."""
