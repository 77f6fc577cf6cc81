"""Generated from protos/cashier/gateway; `make protos` writes it."""
