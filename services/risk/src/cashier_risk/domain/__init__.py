"""Facts, rules and the decision that follows: pure, so that any decision can be replayed."""
