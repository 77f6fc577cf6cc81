"""One folder per imitated HTTP API; each translates to the same flows and the same ledger."""
