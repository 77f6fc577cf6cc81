"""The gateway as its own process, as it is deployed, without TLS on a loopback port."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc.aio
import yaml

from cashier.common.v1 import instrument_pb2, money_pb2
from cashier.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc
from cashier_mesh.databases import ServiceDatabase
from tests.support.gateway_rig import MERCHANT, START_WAIT_S

CALLER = "spiffe://cashier.local/service/router"
LIMITED_CALLER = "spiffe://cashier.local/client/limited"


class GatewayProcess:
    """`python -m cashier_gateway serve` or `work`, which can be killed and started again."""

    def __init__(self, folder: Path, service: ServiceDatabase, accounts: Path) -> None:
        self._folder, self._service, self._accounts = folder, service, accounts
        self.port = 0
        self.log = folder / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        rail = [
            f"/cashier.gateway.v1.{name}/*" for name in ("GatewayService", "GatewayAdminService")
        ]
        callers = {CALLER: {"merchants": ["*"], "methods": rail}}
        (folder / "access.yaml").write_text(yaml.safe_dump({"callers": callers}))

    def start(self, role: str = "serve", **extra: str) -> "GatewayProcess":
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cashier_gateway", role],
                env=self.environment(**extra),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        if role == "serve":
            self._wait()
        return self

    def environment(self, **extra: str) -> dict[str, str]:
        """What a process or a command of this gateway reads."""
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("CASHIER_")},
            "CASHIER_ENVIRONMENT": "development",
            "CASHIER_LISTEN": "127.0.0.1:0",
            "CASHIER_PLAINTEXT": "true",
            "CASHIER_PLAINTEXT_CALLER": CALLER,
            "CASHIER_ACCESS_POLICY": str(self._folder / "access.yaml"),
            "CASHIER_DATABASE_URL": self._service.app_url,
            "CASHIER_PROCESSOR_ACCOUNTS": str(self._accounts),
            **extra,
        }

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def exit_code(self, wait_s: float = 10.0) -> int:
        assert self.process is not None
        return self.process.wait(wait_s)

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")

    def _wait(self) -> None:
        deadline = time.monotonic() + START_WAIT_S
        assert self.process is not None
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                facts: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
                if facts.get("event") == "serving":
                    self.port = facts["port"]
                    return
            time.sleep(0.05)
        raise RuntimeError(f"no gateway: {self.log.read_text()}")


def a_request(
    operation: str,
    token: str = "tok_ok",  # noqa: S107 - the sandbox's word for a card that works
    account: str = "one",
    minor: int = 1250,
    asset: str = "EUR",
) -> gateway_service_pb2.AuthorizeRequest:
    """An authorization as the router sends it."""
    token_message = instrument_pb2.InstrumentToken(
        scope=instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT,
        processor_account=account,
        token=token,
    )
    return gateway_service_pb2.AuthorizeRequest(
        merchant=MERCHANT,
        operation=operation,
        processor_account=account,
        amount=money_pb2.Money(minor=minor, asset_code=asset),
        capture=True,
        instrument=instrument_pb2.Instrument(
            method=instrument_pb2.PAYMENT_METHOD_CARD, tokens=[token_message]
        ),
    )


def a_look_up(request: Any, *, close_door: bool = True) -> gateway_service_pb2.LookUpRequest:
    """The question about what became of an operation of any kind."""
    return gateway_service_pb2.LookUpRequest(
        merchant=request.merchant,
        operation=request.operation,
        processor_account=getattr(request, "processor_account", "one"),
        amount=request.amount,
        close_door=close_door,
    )


def next_of(operation: str) -> str:
    """The name of the next operation of the same payment."""
    payment, _, number = operation.rpartition("/")
    return f"{payment}/{int(number) + 1}"


def a_moving_request(method: str, target: str, token: str = "tok_ok") -> Any:  # noqa: S107
    """A request of any moving method; a capture, void or refund acts on `target`."""
    if method == "Authorize":
        return a_request(target, token)
    if method == "Payout":
        asked = a_request(target, token)
        return gateway_service_pb2.PayoutRequest(
            merchant=MERCHANT, operation=target, processor_account="one", amount=asked.amount,
            instrument=asked.instrument,
        )  # fmt: skip
    field = "capture" if method == "Refund" else "authorization"
    return getattr(gateway_service_pb2, f"{method}Request")(
        merchant=MERCHANT, operation=next_of(target), amount=a_request(target).amount,
        **{field: target},
    )  # fmt: skip


async def prepared_request(stub: Any, method: str, operation: str) -> Any:
    """A request of the method that can succeed: what it acts on was done before."""
    if method in {"Capture", "Void", "Refund"}:
        first = a_request(operation)
        first.capture = method == "Refund"
        await stub.Authorize(first, metadata=keyed(operation))
    return a_moving_request(method, operation)


def stub_of(channel: grpc.aio.Channel) -> Any:
    """The generated client: methods take a message and `metadata`."""
    return gateway_service_pb2_grpc.GatewayServiceStub(channel)


def keyed(operation: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a moving method."""
    return (("idempotency-key", operation),)
