"""Generated from protos/cashier/common/v1; `make protos` writes it."""
