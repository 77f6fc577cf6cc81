"""Generated from protos/cashier/payments/v1; `make protos` writes it."""
