"""A processor dies under a running mesh: traffic leaves within seconds and comes back."""

import asyncio

import pytest
from rich.console import Console

from cashier_mesh.supervisor import Mesh
from tests.bench.health import SCENES, mesh_config, play, problems
from tests.support.mesh_stand_in import reachable_folder


@pytest.mark.long
@pytest.mark.slow
def test_traffic_leaves_a_dead_and_a_slow_processor_and_comes_back():
    """Two routers and two gateways; the whole measurement is `python -m tests.bench health`."""
    scenes = [scene for scene in SCENES if scene.name in {"refuses", "is slow"}]
    with reachable_folder() as folder, Mesh(mesh_config(folder)) as mesh:
        told = asyncio.run(play(mesh, scenes, Console()))
        for unit in mesh.units:
            unit.kill()

    assert [] == [problem for one in told for problem in problems(one)]
    assert [0, 0] == [one.failed for one in told]
