"""The gRPC face: servicer and codec, nothing else."""
