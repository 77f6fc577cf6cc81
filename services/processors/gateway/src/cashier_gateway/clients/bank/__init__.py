"""A bank: debits and credits over the clearing house (ACH), instant credits (RTP)."""
