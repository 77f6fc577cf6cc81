"""The gRPC face: servicers and codec, nothing else."""
