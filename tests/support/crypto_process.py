"""The crypto rail as its own process, as it is deployed, without TLS on a loopback port."""

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
from cashier.gateway.v1 import gateway_service_pb2
from cashier_mesh.databases import ServiceDatabase
from tests.support.crypto_rig import MERCHANT, an_operation

CALLER = "spiffe://cashier.local/service/router"
START_WAIT_S = 120.0  # the imports alone are seconds where two meshes start beside it
EXIT_WAIT_S = 60.0  # seven starts beside other tests on a busy machine


class CryptoProcess:
    """`python -m cashier_crypto serve` or `work`, which can be killed and started again."""

    def __init__(self, folder: Path, service: ServiceDatabase, chain_url: str) -> None:
        self._folder, self._service, self._url = folder, service, chain_url
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "crypto.log"
        methods = ["/cashier.gateway.v1.GatewayService/*", "/cashier.crypto.v1.CryptoRailService/*"]
        callers = {CALLER: {"merchants": ["*"], "methods": methods}}
        (folder / "access.yaml").write_text(yaml.safe_dump({"callers": callers}))

    def start(self, role: str = "serve", **extra: str) -> "CryptoProcess":
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CASHIER_")},
            "CASHIER_ENVIRONMENT": "development",
            "CASHIER_LISTEN": "127.0.0.1:0",
            "CASHIER_PLAINTEXT": "true",
            "CASHIER_PLAINTEXT_CALLER": CALLER,
            "CASHIER_ACCESS_POLICY": str(self._folder / "access.yaml"),
            "CASHIER_DATABASE_URL": self._service.app_url,
            "CASHIER_CHAIN_URL": self._url,
            "CASHIER_CHAIN_POLL_S": "0.1",
            **extra,
        }
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cashier_crypto", role],
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        if role == "serve":
            self._wait()
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def exit_code(self, wait_s: float = EXIT_WAIT_S) -> int:
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
        raise RuntimeError(f"no crypto rail: {self.log.read_text()}")


def a_request(minor: int = 12_500_000, **changes: Any) -> gateway_service_pb2.AuthorizeRequest:
    """A deposit as the router asks for it."""
    facts: dict[str, Any] = {
        "merchant": MERCHANT,
        "operation": an_operation(),
        "processor_account": "evm-usdc",
        "amount": money_pb2.Money(minor=minor, asset_code="USDC"),
        "capture": True,
        "instrument": instrument_pb2.Instrument(method=instrument_pb2.PAYMENT_METHOD_STABLECOIN),
    }
    return gateway_service_pb2.AuthorizeRequest(**(facts | changes))


def keyed(operation: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a moving method."""
    return (("idempotency-key", operation),)
