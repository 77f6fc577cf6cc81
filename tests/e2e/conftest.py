"""One mesh for all end-to-end tests of a run: real servers, real processes, real certificates.

It ends with them: sixteen idle processes are a fifth of a core to the tests that follow.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from cashier.payments.v1 import payment_pb2
from cashier_mesh.config import MeshConfig
from cashier_mesh.supervisor import Mesh
from tests.support.invariants import violations
from tests.support.mesh_client import MeshClient
from tests.support.mesh_stand_in import reachable_folder
from tests.support.processors import LOCALSTRIPE, Processors
from tests.support.whole_mesh import WholeMesh, eventually

ROUTER_REPLICAS = 2
# A doubt is asked about every second here: fifty times before it would need a person.
IMPATIENT = {"CASHIER_DOUBT_SCHEDULE_S": ",".join(["1"] * 50)}


@pytest.fixture(scope="package")
def mesh() -> Iterator[Mesh]:
    """All services, two routers among them, with their spans in files; nothing starts again."""
    with reachable_folder() as folder:
        config = MeshConfig(
            data_dir=folder / "mesh", base_port=0, traces=True,
            replicas={"router": ROUTER_REPLICAS}, fsync=False, restart_crashed=False,
            extra_env={"router": IMPATIENT},
        )  # fmt: skip
        with Mesh(config) as running:
            yield running
            for unit in running.units:  # how they stop in order, the supervisor's tests show
                unit.kill()


@pytest.fixture(scope="package")
def whole_mesh(mesh: Mesh) -> Iterator[WholeMesh]:
    """The same mesh for tests that call it synchronously; whoever stops a part starts it again."""
    whole = WholeMesh(mesh)
    # The router routes to what it has heard of; it asks its rails every half second.
    eventually(lambda: whole.pay()[0].state == payment_pb2.Payment.STATE_SUCCEEDED)
    yield whole
    whole.close()


@pytest.fixture(params=["sandbox-us", "localstripe-us"])
def account(request: pytest.FixtureRequest, mesh: Mesh) -> str:
    """A processor that honours idempotency keys, and one that ignores them."""
    if request.param.startswith(LOCALSTRIPE) and LOCALSTRIPE not in mesh.peer_urls:
        pytest.skip("localstripe is not installed: run `make setup`")
    return str(request.param)


@pytest.fixture
async def checkout(mesh: Mesh) -> AsyncIterator[MeshClient]:
    """A shop's checkout, balanced over all routers."""
    async with MeshClient(mesh) as client:
        yield client


@pytest.fixture
async def processors(mesh: Mesh) -> AsyncIterator[Processors]:
    """The processors' own books."""
    async with Processors(mesh) as books:
        yield books


@pytest.fixture
async def books_agree(mesh: Mesh) -> AsyncIterator[None]:
    """Whatever the test does, afterwards no invariant is broken that was not broken before."""
    before = await violations(mesh)
    yield
    assert set() == await violations(mesh) - before
