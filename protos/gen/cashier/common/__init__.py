"""Generated from protos/cashier/common; `make protos` writes it."""
