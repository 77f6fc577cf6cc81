"""The parcel server of one test, and what a call that it refused was told."""

from typing import Any

import grpc.aio
import pytest

from cashier_common.rpc.status import error_info
from tests.contract.mesh_fixture import a_mesh


@pytest.fixture
async def mesh(tmp_path):
    async with a_mesh(tmp_path) as running:
        yield running


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    """The error that a call must end with."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


def told(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Code, reason and facts of a refusal."""
    info = error_info(error)
    return error.code(), info.reason, dict(info.metadata)
