"""The crypto rail: carries operations to an EVM chain."""
