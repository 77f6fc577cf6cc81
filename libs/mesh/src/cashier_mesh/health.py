"""Asks servers whether they are ready, the way that their clients reach them."""

import http.client
import time
from collections.abc import Callable
from typing import cast

import grpc
from grpc_health.v1 import health_pb2

from cashier_mesh.certificates import Credentials
from cashier_mesh.processes import Process, describe_exit

PROBE_TIMEOUT_S = 1.0
PROBE_PERIOD_S = 0.05
READY_TIMEOUT_S = 90.0  # a dozen Python processes import at once on two cores
CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)


def channel_to(target: str, credentials: Credentials) -> grpc.Channel:
    """Open a synchronous mTLS channel for probes."""
    tls = grpc.ssl_channel_credentials(
        root_certificates=credentials.authority.read_bytes(),
        private_key=credentials.private_key.read_bytes(),
        certificate_chain=credentials.certificate.read_bytes(),
    )
    return grpc.secure_channel(target, tls, options=CHANNEL_OPTIONS)


def grpc_trouble(channel: grpc.Channel) -> str | None:
    """Return why a server is not ready, or None when it serves."""
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer = check(health_pb2.HealthCheckRequest(), timeout=PROBE_TIMEOUT_S)
    except grpc.RpcError as error:
        call = cast("grpc.Call", error)  # what a failed call raises is the call itself
        return f"{call.code().name}: {call.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    return f"it reports {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"


def http_trouble(address: str, path: str, body: str | None = None) -> str | None:
    """Return why an HTTP server is not ready, or None; any answer but 5xx counts as life."""
    connection = http.client.HTTPConnection(address, timeout=PROBE_TIMEOUT_S)
    headers = {"content-type": "application/json"}
    try:
        connection.request("POST" if body else "GET", path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return f"HTTP status {status}" if status >= http.client.INTERNAL_SERVER_ERROR else None


def wait_ready(
    process: Process, trouble: Callable[[], str | None], stop: Callable[[], bool]
) -> None:
    """Wait until there is no trouble; StartFailed if the process ends or time runs out.

    Returns early, without readiness, when `stop` says so.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while (found := trouble()) and not stop():
        code = process.exit_code()
        if code is not None:
            raise process.failed(f"it ended with {describe_exit(code)}")
        if time.monotonic() > deadline:
            raise process.failed(f"not ready after {READY_TIMEOUT_S:g} s ({found})")
        time.sleep(PROBE_PERIOD_S)
