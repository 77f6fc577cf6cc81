"""The one gRPC server of a process: its port, its limits, its health and its pipeline."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
import grpc.aio
import structlog
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider

from cashier_common.logs import CallLog, call_log
from cashier_common.rpc.admission import Gate
from cashier_common.rpc.credentials import server_credentials
from cashier_common.rpc.identity import AccessPolicy, load_policy
from cashier_common.rpc.pipeline import Handler, Pipeline
from cashier_common.rpc.reflection import add_reflection
from cashier_common.rpc.run import Runs
from cashier_common.rpc.validation import Plans
from cashier_common.settings import ServiceSettings, SettingsRefused
from cashier_common.telemetry import recording_provider

MESSAGE_MAX_BYTES = 4 * 1024 * 1024  # larger things are streamed in chunks
METADATA_MAX_BYTES = 16 * 1024
STREAMS_MAX = 1_024  # concurrent calls on one connection
CONNECTION_MAX_AGE_MS = 300_000  # clients reconnect and so find new replicas; gRPC adds 10 % jitter
CONNECTION_GRACE_MS = 65_000  # the longest unary call and a bit
KEEPALIVE_MS = 30_000
KEEPALIVE_TIMEOUT_MS = 10_000
CLIENT_PING_MIN_MS = 10_000  # a client that pings more often is cut off
READINESS_PERIOD_S = 1.0
READINESS_TIMEOUT_S = 2.0
STOP_GRACE_S = 15.0

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_metadata_size", METADATA_MAX_BYTES),
    ("grpc.absolute_max_metadata_size", METADATA_MAX_BYTES),
    ("grpc.max_concurrent_streams", STREAMS_MAX),
    ("grpc.max_connection_age_ms", CONNECTION_MAX_AGE_MS),
    ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_MS),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", CLIENT_PING_MIN_MS),
    ("grpc.so_reuseport", 0),  # else a second process would share a taken port without a word
    ("grpc.enable_channelz", 1),
)

# `add` is the generated `add_…Servicer_to_server`; the name is the service's full name.
Registration: TypeAlias = tuple[Callable[[Any, Any], None], Any, str]
Readiness: TypeAlias = Callable[[], Awaitable[object]]
LOG = structlog.stdlib.get_logger("cashier.rpc")


class MeshServer:
    """Serves registered servicers behind one pipeline, with health, reflection and channelz beside.

    `readiness` fails by raising or by answering False; while it does, health says NOT_SERVING.
    `limits` changes the limit of single request fields (see `validation.Plans`).
    """

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        domain: str,
        services: Sequence[Registration],
        readiness: Readiness | None = None,
        limits: Mapping[str, int] | None = None,
        policy: AccessPolicy | None = None,
        calls: CallLog | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._settings = settings
        self._services = services
        self._readiness = readiness
        self._tls = settings.tls()
        gate = Gate(
            policy=policy or load_policy_of(settings),
            plans=Plans(limits),
            development_caller=settings.plaintext_caller if settings.plaintext else None,
        )
        calls = calls or call_log(settings, domain)
        provider = tracer_provider or recording_provider()
        self._pipeline = Pipeline(gate, Runs(domain, calls), provider)
        self._server = grpc.aio.server(options=OPTIONS)
        self._health = health.aio.HealthServicer()
        self._watch: asyncio.Task[None] | None = None
        self._is_serving: bool | None = None

    async def start(self) -> int:
        """Serve, and answer the port; SettingsRefused when the address cannot be had."""
        for add, servicer, name in self._services:
            methods = Methods()
            add(servicer, methods)
            wrapped = {
                method: await self._pipeline.wrap(f"/{name}/{method}", handler)
                for method, handler in methods.found(name).items()
            }
            self._server.add_registered_method_handlers(name, wrapped)
        self._add_mesh_services()
        port = self._bind()
        await self._check_readiness()
        await self._server.start()
        self._watch = asyncio.create_task(self._watch_readiness(), name="readiness")
        LOG.info("serving", address=self._settings.listen, port=port, tls=self._tls is not None)
        return port

    async def wait(self) -> None:
        """Return when the server has been stopped."""
        await self._server.wait_for_termination()

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Say NOT_SERVING, take no new calls, and give those under way so many seconds."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

    def _add_mesh_services(self) -> None:
        """Health, reflection, channelz: for every certificate of the mesh, so without pipeline."""
        names = [name for _, _, name in self._services]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        add_reflection([*names, health.SERVICE_NAME, CHANNELZ], self._server)
        channelz.add_channelz_servicer(self._server)

    def _bind(self) -> int:
        listen = self._settings.listen
        try:
            if self._tls is None:
                return self._server.add_insecure_port(listen)
            return self._server.add_secure_port(listen, server_credentials(self._tls))
        except RuntimeError:
            raise SettingsRefused(
                f"{listen} cannot be listened on: another process holds the port or the host is "
                "not this machine's, so stop that process or set CASHIER_LISTEN to a free host:port"
            ) from None

    async def _watch_readiness(self) -> None:
        while True:
            await asyncio.sleep(READINESS_PERIOD_S)
            await self._check_readiness()

    async def _check_readiness(self) -> None:
        fault = await self._fault()
        is_serving = fault is None
        if is_serving is self._is_serving:
            return
        self._is_serving = is_serving
        status = health_pb2.HealthCheckResponse
        for name in ("", *(name for _, _, name in self._services)):
            await self._health.set(name, status.SERVING if is_serving else status.NOT_SERVING)
        if fault is not None:
            LOG.warning("not_ready", fault=fault)
        else:
            LOG.info("ready")

    async def _fault(self) -> str | None:
        if self._readiness is None:
            return None
        try:
            async with asyncio.timeout(READINESS_TIMEOUT_S):
                answer = await self._readiness()
        except Exception as error:  # noqa: BLE001 - whatever it is, the service is not ready
            return f"{type(error).__name__}: {error}"
        return "readiness answered False" if answer is False else None


CHANNELZ = "grpc.channelz.v1.Channelz"


class Methods:
    """Stands in for a server in a generated `add_` function, to learn the service's handlers."""

    def __init__(self) -> None:
        self._handlers: dict[str, Mapping[str, Handler]] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The same handlers come by name as well."""

    def add_registered_method_handlers(self, name: str, handlers: Mapping[str, Handler]) -> None:
        self._handlers[name] = handlers

    def found(self, name: str) -> Mapping[str, Handler]:
        """The handlers of a service; SettingsRefused when the `add_` function is another one's."""
        if name not in self._handlers:
            raise SettingsRefused(
                f"{name} was registered with the add_ function of {list(self._handlers)}"
            )
        return self._handlers[name]


def load_policy_of(settings: ServiceSettings) -> AccessPolicy:
    """The access policy that the settings name; SettingsRefused when they name none."""
    settings.need("access_policy")
    return load_policy(settings.access_policy)  # type: ignore[arg-type]
