"""Generated from protos/cashier; `make protos` writes it."""
