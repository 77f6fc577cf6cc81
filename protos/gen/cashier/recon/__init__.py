"""Generated from protos/cashier/recon; `make protos` writes it."""
