"""3-D Secure: how a customer proves to the issuer who pays, as pure functions of stored state."""
