"""Servicers and codec: proto to domain and back, nothing else."""
