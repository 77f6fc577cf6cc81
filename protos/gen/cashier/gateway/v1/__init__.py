"""Generated from protos/cashier/gateway/v1; `make protos` writes it."""
