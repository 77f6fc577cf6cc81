"""Generated from protos/cashier/payments; `make protos` writes it."""
