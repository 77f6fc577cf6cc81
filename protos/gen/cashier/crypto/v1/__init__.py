"""Generated from protos/cashier/crypto/v1; `make protos` writes it."""
