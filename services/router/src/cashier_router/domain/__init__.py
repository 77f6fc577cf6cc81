"""Pure nouns and rules of payments: no clock, no I/O."""
