"""Tells the sandbox where the gateway listens, for every account whose webhooks are signed."""

import os
from pathlib import Path
from typing import Any

import httpx
import yaml

from cashier_mesh import config as ports
from cashier_mesh.config import MeshConfig
from cashier_mesh.errors import MeshError

CALL_S = 10.0
# Of the sandbox's own API what no answer brings: each call's webhook beside its answer would cost
# a third of the payments per second, and tell nothing new.
TYPES = {
    "sandbox": [
        *("charge.resolved", "refund.resolved", "payout.resolved", "refund.external"),
        *("capture.failed", "refund.failed", "payout.failed"),
        *("chargeback.created", "chargeback.closed", "charge.information_requested"),
    ]
}
EVERY_TYPE = ["*"]
TEST_PREFIX = "test:"


def register_webhooks(config: MeshConfig, sandbox_url: str, accounts: Path) -> None:
    """Register the gateway at each account of the sandbox that has a secret, once.

    The sandbox keeps its endpoints over a restart; one of another port is forgotten. MeshError when
    the sandbox does not take them.
    """
    token = (config.data_dir / "sandbox" / "control.token").read_text(encoding="utf-8").strip()
    base = f"http://{config.address(ports.WEBHOOKS)}/webhooks"
    with httpx.Client(
        base_url=sandbox_url, headers={"Authorization": f"Bearer {token}"}, timeout=CALL_S,
        trust_env=False,
    ) as sandbox:  # fmt: skip
        for row in _signed(accounts, sandbox):
            account = row["account_id"]
            _register(
                sandbox,
                account,
                url=f"{base}/{account}",
                secret=_resolved(row["webhook_secrets"][0]),
                types=TYPES.get(row["processor"], EVERY_TYPE),
            )


def _signed(accounts: Path, sandbox: httpx.Client) -> list[dict[str, Any]]:
    """Accounts of the sandbox whose webhooks the gateway can verify."""
    document = yaml.safe_load(accounts.read_text(encoding="utf-8"))
    there = {known["name"] for known in _asked(sandbox, "GET", "/control/accounts")["accounts"]}
    return [
        row
        for row in document["accounts"]
        if row["account_id"] in there and row.get("webhook_secrets")
    ]


def _register(
    sandbox: httpx.Client, account: str, *, url: str, secret: str, types: list[str]
) -> None:
    path = f"/control/accounts/{account}"
    known = _asked(sandbox, "GET", f"{path}/notices")["endpoints"]
    for endpoint in known:
        if endpoint["url"] != url:
            _asked(sandbox, "DELETE", f"{path}/endpoints/{endpoint['id']}")
    if all(endpoint["url"] != url for endpoint in known):
        body = {"url": url, "secret": secret, "types": types}
        _asked(sandbox, "POST", f"{path}/endpoints", body)


def _asked(
    sandbox: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, list[dict[str, str]]]:
    try:
        answer = sandbox.request(method, path, json=body)
    except httpx.HTTPError as error:
        raise MeshError(f"the sandbox did not take {method} {path}: {error}") from None
    if answer.is_error:
        raise MeshError(f"the sandbox did not take {method} {path}: {answer.text}")
    told: dict[str, list[dict[str, str]]] = answer.json()
    return told


def _resolved(reference: str) -> str:
    """The secret that a reference stands for, as the gateway reads it."""
    for part in reference.split("|"):
        kind, _, name = part.partition(":")
        value = os.environ.get(name, "") if kind == "env" else part.removeprefix(TEST_PREFIX)
        if value:
            return value
    raise MeshError(f"{reference} of the gateway's accounts names nothing: set the variable")
