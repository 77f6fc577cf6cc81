"""A shop's checkout page, as a merchant would have one: it tells what a payment needs to know."""
