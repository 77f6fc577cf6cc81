"""Runs the whole of Cashier on one machine: databases, certificates, peers and services."""
