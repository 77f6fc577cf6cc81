"""What the gateway knows of accounts, calls, outcomes and declines; pure Python."""
