"""Where the mesh is: one that this process started, or one that `make up` left running."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import yaml

from cashier_common.rpc.client import connect
from cashier_common.settings import Tls
from cashier_mesh.certificates import Credentials, DevelopmentAuthority
from cashier_mesh.errors import MeshError
from cashier_mesh.residence import Residence


@dataclass(frozen=True, slots=True)
class Account:
    """A processor account as the gateway's file has it, with its key."""

    account_id: str
    processor: str
    url: str
    key: str
    assets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ground:
    """Addresses and certificates of a running mesh; `peers` has sandbox, localstripe and chain."""

    data_dir: Path
    targets: Mapping[str, str]
    peers: Mapping[str, str]

    def credentials(self, client: str) -> Credentials:
        """The certificate of a caller from outside: checkout, demo or operator."""
        return DevelopmentAuthority(self.data_dir / "certs").client(client)

    def channel(self, service: str, client: str) -> grpc.aio.Channel:
        """An mTLS channel to a service, as a caller."""
        mine = self.credentials(client)
        tls = Tls(mine.certificate, mine.private_key, mine.authority)
        return connect(self.targets[service], tls)

    def accounts(self) -> list[Account]:
        """The processor accounts that the gateway knows."""
        path = self.data_dir / "gateway" / "accounts.dev.yaml"
        document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [
            Account(
                account_id=row["account_id"],
                processor=row["processor"],
                url=_resolved(row["base_url"]).rstrip("/"),
                key=_resolved(row["credential"]),
                assets=frozenset(row["assets"]),
            )
            for row in document["accounts"]
        ]

    def sandbox_token(self) -> str:
        """The token of the sandbox's control API."""
        return (self.data_dir / "sandbox" / "control.token").read_text(encoding="utf-8").strip()


def occupied(data_dir: Path) -> Ground | None:
    """The mesh that already runs in this folder; MeshError if it has only begun to start."""
    facts = Residence(data_dir).occupant()
    if not facts:
        return None
    if not facts.get("targets"):
        raise MeshError(
            f"a mesh (process {facts.get('pid')}) is starting in {data_dir}: wait until it says "
            "that it is ready, or choose another folder with --data-dir"
        )
    return Ground(data_dir, facts["targets"], facts["peers"])


def _resolved(reference: str) -> str:
    """What `env:NAME|test:value` stands for, as the gateway reads it."""
    for part in reference.split("|"):
        kind, _, rest = part.partition(":")
        if kind == "env":
            value = os.environ.get(rest, "")
        elif kind == "file":
            value = Path(rest).read_text(encoding="utf-8").strip()
        else:
            value = part.removeprefix("test:")
        if value:
            return value
    raise MeshError(f"{reference} of the gateway's accounts names nothing: set the variable")
