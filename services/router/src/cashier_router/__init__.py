"""The payment router: decides which rail takes a payment and sees it to its end."""
