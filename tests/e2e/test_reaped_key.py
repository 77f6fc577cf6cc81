"""A key that was reaped long ago still cannot charge twice."""

import asyncpg
import grpc
import pytest

from cashier_common.rpc.status import error_info
from cashier_mesh.databases import database_of
from tests.support.mesh_client import a_key, a_payment

pytestmark = pytest.mark.usefixtures("books_agree")


async def test_after_its_key_is_reaped_a_payment_already_exists(mesh, checkout, processors):
    request, key = a_payment(), a_key()
    made = (await checkout.create(request, key)).payment
    admin = database_of(mesh.stores.server().admin_url, "cashier_router")
    database = await asyncpg.connect(admin)
    reaped = await database.execute("DELETE FROM requests WHERE key = $1", key)
    await database.close()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await checkout.create(request, key)

    assert "DELETE 1" == reaped
    assert grpc.StatusCode.ALREADY_EXISTS is refused.value.code()
    info = error_info(refused.value)
    assert info is not None
    assert ("PAYMENT_EXISTS", made.name) == (info.reason, info.metadata["payment"])
    assert 1 == len(await processors.moves_of(made.name))
