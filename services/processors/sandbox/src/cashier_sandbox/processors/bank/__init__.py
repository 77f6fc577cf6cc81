"""A bank: files for the clearing house (ACH), instant payments (RTP), tokens for accounts."""
