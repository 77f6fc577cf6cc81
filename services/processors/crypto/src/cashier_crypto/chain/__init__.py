"""Development data: the test token's source, its compiled form, and the accounts that use it."""
