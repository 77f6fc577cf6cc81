"""Generated from protos/cashier/risk; `make protos` writes it."""
