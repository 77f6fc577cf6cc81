"""Generated from protos/cashier/recon/v1; `make protos` writes it."""
