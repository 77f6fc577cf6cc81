"""Generated from protos/cashier/crypto; `make protos` writes it."""
