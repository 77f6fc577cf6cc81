"""Pure rules: what is booked, what should settle, what agrees and what does not."""
