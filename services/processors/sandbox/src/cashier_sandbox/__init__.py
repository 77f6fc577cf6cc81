"""The sandbox: imitation processors for test mode."""
