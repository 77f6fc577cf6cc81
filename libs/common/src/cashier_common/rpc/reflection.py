"""Reflection that finds methods too: `grpcurl describe` asks for them by name."""

from collections.abc import Sequence
from typing import Any, cast

import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection


class Contracts:
    """The default pool, whose own search for a symbol's file knows messages and fields only."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        """The file of a message, field, enum, service or method; KeyError where there is none."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindMethodByName(symbol).containing_service.file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def add_reflection(names: Sequence[str], server: grpc.aio.Server) -> None:
    """Let a server tell every caller of the mesh what it offers; `names` are full service names."""
    pool = cast("descriptor_pool.DescriptorPool", Contracts())
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server, pool)
