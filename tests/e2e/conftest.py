"""One mesh for all end-to-end tests of a run: real servers, real processes, real certificates."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cashier_mesh.config import MeshConfig
from cashier_mesh.supervisor import Mesh
from tests.support.invariants import violations
from tests.support.mesh_client import MeshClient
from tests.support.processors import LOCALSTRIPE, Processors

SERVICES = ("risk", "gateway", "router")
ROUTER_REPLICAS = 2
# A doubt is asked about every second here: fifty times before it would need a person.
IMPATIENT = {"CASHIER_DOUBT_SCHEDULE_S": ",".join(["1"] * 50)}


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    """Risk, gateway and two routers beside the sandbox and localstripe; nothing starts again."""
    with tempfile.TemporaryDirectory(prefix="cashier-e2e-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user when this one is root
        config = MeshConfig(
            data_dir=Path(folder) / "mesh", base_port=0, services=SERVICES, chain=False,
            replicas={"router": ROUTER_REPLICAS}, fsync=False, restart_crashed=False,
            extra_env={"router": IMPATIENT},
        )  # fmt: skip
        with Mesh(config) as running:
            yield running


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
