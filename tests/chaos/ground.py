"""A mesh of its own for chaos: two of each router and gateway, wires that fail, short leases."""

import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from cashier_mesh import config as ports
from cashier_mesh.config import PROJECT_DIR, MeshConfig
from cashier_mesh.environment import ACCOUNTS_FILE
from cashier_mesh.postgres import EmbeddedPostgres
from cashier_mesh.supervisor import Mesh
from cashier_mesh.unit import Seat
from tests.chaos.proxy import Wires
from tests.support.crashes import revive
from tests.support.mesh_stand_in import reachable_folder

ALTERED = Path(__file__).with_name("altered")


@dataclass(frozen=True)
class Place:
    """A processor account under fire: its port behind the first account's, where its URL stands.

    At one that does not `close_keys` a request is found out about by repeating it, so a card that
    never gets an answer is a doubt for people by design; one that `keeps_500` answers a key with
    its first 500 for ever, which is another (gateway's DECISIONS.md). Neither happens there.
    """

    account: str
    offset: int
    variable: str
    closes_keys: bool = True
    keeps_500: bool = False


# One line for each account; the first takes payouts, the second is where payments go then.
PLACES = (
    Place("sandbox-us", 0, "SANDBOX_US_URL"),
    Place("sandbox-global", 3, "SANDBOX_GLOBAL_URL"),
    Place("sandbox-stripe", 4, "SANDBOX_STRIPE_URL", closes_keys=False, keeps_500=True),
    Place("sandbox-adyen", 5, "SANDBOX_ADYEN_URL", closes_keys=False),
)
ACCOUNTS = tuple(place.account for place in PLACES)
CLOSE_KEYS = frozenset(place.account for place in PLACES if place.closes_keys)
KEEP_500 = frozenset(place.account for place in PLACES if place.keeps_500)
# What is wrong with every webhook of every account, all the time.
MISCHIEF = {
    "double_ppm": 300_000, "scatter_ms": 500, "forge_ppm": 100_000, "foreign_ppm": 100_000,
    "astray_ppm": 100_000,
}  # fmt: skip
WIRES = ("gateway", "gateway-2", *ACCOUNTS)
REPLICAS = {"router": 2, "gateway": 2}
# A processor has so long to answer; production gives it 10 s.
TIMEOUT_S = 1.0
LOGS_VARIABLE = "CHAOS_LOGS"  # a folder to keep the services' logs in
DOUBTS = {"CASHIER_DOUBT_SCHEDULE_S": ",".join(["1"] * 600)}
# Room between the row and the request, where a frozen process is caught with something in hand.
PAUSES = {
    "router": "router.before_send:sleep=0.15,router.after_answer:sleep=0.02",
    "gateway": "gateway.before_send:sleep=0.3,gateway.before_record:sleep=0.02",
}
QUICK = {"router": "quick_router", "gateway": "quick_gateway"}


@dataclass
class Ground:
    """A running mesh and the wires in it; `ablated` says what is switched off in each service."""

    mesh: Mesh
    wires: Wires
    ablated: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(QUICK, ()))

    @property
    def seats(self) -> list[Seat]:
        return [unit.seat for unit in self.mesh.units]

    async def ablate(self, **wanted: tuple[str, ...]) -> None:
        """Switch off what is named of each service, and on what is not: by starting it anew."""
        for service in QUICK:
            if wanted.get(service, ()) == self.ablated[service]:
                continue
            self.ablated[service] = wanted.get(service, ())
            env = _environment(self.mesh.config, self.wires, service, self.ablated[service])
            self.mesh.set_env(service, env)
            # Servers alone: neither what opens a rail nor what fences it is a worker's here.
            for replica in range(1, REPLICAS[service] + 1):
                self.mesh.kill(service, replica=replica)
            await revive(self.mesh, service)


@contextmanager
def chaos_ground(seed: int) -> Iterator[Ground]:
    """Everything runs and every connection that matters goes through a wire."""
    with reachable_folder() as folder, Wires(WIRES, seed) as wires:
        config = MeshConfig(
            data_dir=folder / "mesh", base_port=0, chain=False, localstripe=False,
            replicas=REPLICAS, fsync=False, restart_crashed=False,
        )  # fmt: skip
        _accounts_file(config)
        for number, name in enumerate(WIRES[:2], start=1):
            wires[name].upstream_port = config.port(3, number)
        for place in PLACES:
            wires[place.account].upstream_port = config.port(ports.SANDBOX_ACCOUNTS + place.offset)
        extra = {s: _environment(config, wires, s, ()) for s in QUICK}
        extra |= {f"{s}/serve": {"CASHIER_FAILPOINTS": PAUSES[s]} for s in QUICK}
        mesh = Mesh(dataclasses.replace(config, extra_env=extra))
        mesh.stores.postgres = _surviving(mesh)
        with mesh:
            try:
                yield Ground(mesh, wires)
            finally:
                if kept := os.environ.get(LOGS_VARIABLE):
                    shutil.copytree(mesh.logs, kept, dirs_exist_ok=True)


def _surviving(mesh: Mesh) -> EmbeddedPostgres:
    """A server that keeps through a kill -9 what it has committed, without waiting for the disk.

    The kernel has what was written, and the machine lives on.
    """
    config = mesh.config
    return EmbeddedPostgres(
        config.data_dir / "postgres", config.port(ports.POSTGRES), fsync=False,
        settings={"synchronous_commit": "on"}, log=mesh.logs / "postgres.log",
    )  # fmt: skip


def _environment(
    config: MeshConfig, wires: Wires, service: str, alterations: Sequence[str]
) -> dict[str, str]:
    paths = (str(ALTERED), os.environ.get("PYTHONPATH"))
    env = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "CHAOS_ALTERATIONS": ",".join((QUICK[service], *alterations)),
    }
    if service == "router":
        gateways = ",".join(wires[name].address for name in WIRES[:2])
        return env | DOUBTS | {"CASHIER_RAILS": f"gateway={gateways},crypto={config.address(4)}"}
    return env | {
        "CASHIER_PROCESSOR_ACCOUNTS": str(_accounts_path(config)),
        **{place.variable: f"http://{wires[place.account].address}" for place in PLACES},
    }


def _accounts_path(config: MeshConfig) -> Path:
    return config.data_dir / "accounts.chaos.yaml"


def _accounts_file(config: MeshConfig) -> None:
    """The shipped accounts, those that we use, with less patience."""
    home = PROJECT_DIR / "services" / "processors" / "gateway"
    shipped = yaml.safe_load(next(home.rglob(ACCOUNTS_FILE)).read_text(encoding="utf-8"))
    chosen = [
        account | {"timeout_s": TIMEOUT_S}
        for account in shipped["accounts"]
        if account["account_id"] in ACCOUNTS
    ]
    path = _accounts_path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"accounts": chosen}), encoding="utf-8")
