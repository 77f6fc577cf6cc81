"""The face that processors speak to: their webhooks come in here."""
