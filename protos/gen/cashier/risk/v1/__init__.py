"""Generated from protos/cashier/risk/v1; `make protos` writes it."""
