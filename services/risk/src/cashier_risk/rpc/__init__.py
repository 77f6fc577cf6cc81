"""The gRPC face of risk: protobuf to domain and back, nothing else."""
