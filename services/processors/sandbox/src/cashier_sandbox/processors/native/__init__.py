"""The sandbox's own charges API."""
