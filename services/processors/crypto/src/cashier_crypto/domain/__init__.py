"""Pure rules of the crypto rail: accounts, addresses, transfers and what they tell."""
