"""Channels into the mesh: mutual TLS, replicas in turn, retries where nothing can move twice."""

import ipaddress
from collections.abc import Callable, Sequence
from importlib.resources import files
from types import TracebackType
from typing import Any, Self, TypeAlias

import grpc
import grpc.aio
import orjson
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import aio_client_interceptors, client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel as intercept_spans
from opentelemetry.trace import TracerProvider

from cashier_common.rpc.credentials import channel_credentials
from cashier_common.rpc.outgoing import (
    OutgoingInterceptor,
    idempotency_key,
    needs_key,
    pairs_of,
    timeout_s,
)
from cashier_common.settings import (
    ServiceSettings,
    SettingsRefused,
    Tls,
    is_loopback,
    split_address,
)
from cashier_common.telemetry import recording_provider

__all__ = ["connect", "connect_sync", "idempotency_key", "read_service_config"]

MESSAGE_MAX_BYTES = 4 * 1024 * 1024  # the server's limit
METADATA_MAX_BYTES = 16 * 1024
KEEPALIVE_MS = 20_000  # the server allows a ping every 10 s
KEEPALIVE_TIMEOUT_MS = 5_000
RECONNECT_FIRST_MS = 100
RECONNECT_MAX_MS = 2_000  # a restarted replica is found again within two seconds
RETRYABLE = ["UNAVAILABLE"]  # style.md §1, rule 194

Security: TypeAlias = ServiceSettings | Tls
Options: TypeAlias = Sequence[tuple[str, str | int]]


def connect(
    target: str,
    security: Security,
    *,
    server_name: str | None = None,
    service_config: str | None = None,
    tracer_provider: TracerProvider | None = None,
) -> grpc.aio.Channel:
    """An asynchronous channel to `host:port[,host:port…]`, balanced over all of them.

    `server_name` is the name to look for in the server's certificate when it is not the host; with
    several hosts it has to be given. `service_config` is JSON, by default the mesh's own.
    SettingsRefused names what is wrong with the target, the certificates or the configuration.
    """
    uri = uri_of(target)
    options = _options(server_name or shared_host(target), service_config)
    credentials = _credentials(security, target)
    plain = _channel(uri, credentials, options, ())
    provider = tracer_provider or recording_provider()
    if provider is None:
        return MeshChannel(plain, None)
    # Two channels have a connection each; the second opens when it is first used.
    interceptors = aio_client_interceptors(tracer_provider=provider)  # type: ignore[no-untyped-call]
    return MeshChannel(plain, _channel(uri, credentials, options, interceptors))


def connect_sync(
    target: str,
    security: Security,
    *,
    server_name: str | None = None,
    service_config: str | None = None,
    tracer_provider: TracerProvider | None = None,
) -> grpc.Channel:
    """The same as `connect`, synchronous: for commands, the console and tests."""
    uri, options = uri_of(target), _options(server_name or shared_host(target), service_config)
    credentials = _credentials(security, target)
    channel = (
        grpc.insecure_channel(uri, options)
        if credentials is None
        else grpc.secure_channel(uri, credentials, options)
    )
    provider = tracer_provider or recording_provider()
    outgoing = OutgoingInterceptor(with_trace=provider is None)
    if provider is None:
        return grpc.intercept_channel(channel, outgoing)
    # The telemetry package's synchronous interceptor is of a kind of its own, not gRPC's.
    spans = client_interceptor(tracer_provider=provider)  # type: ignore[no-untyped-call]
    recorded = intercept_spans(channel, spans)  # type: ignore[no-untyped-call]
    return grpc.intercept_channel(recorded, outgoing)


def uri_of(target: str) -> str:
    """The target as gRPC resolves it; several addresses must be numbers: DNS gives one list."""
    hosts = []
    for address in target.split(","):
        try:
            hosts.append(split_address(address.strip()))
        except ValueError as error:
            raise SettingsRefused(f"the target {target} cannot be used: {error}") from None
    if len(hosts) == 1:
        host, port = hosts[0]
        return f"dns:///{f'[{host}]' if ':' in host else host}:{port}"
    try:
        numbers = [(ipaddress.ip_address(_number(host)), port) for host, port in hosts]
    except ValueError:
        raise SettingsRefused(
            f"the target {target} names several hosts, so each must be a number such as "
            "127.0.0.1:7401; or give one DNS name that resolves to all replicas"
        ) from None
    if len({address.version for address, _ in numbers}) > 1:
        raise SettingsRefused(f"the target {target} mixes IPv4 and IPv6: use one of them")
    if numbers[0][0].version == 4:  # noqa: PLR2004
        return "ipv4:" + ",".join(f"{address}:{port}" for address, port in numbers)
    return "ipv6:" + ",".join(f"[{address}]:{port}" for address, port in numbers)


def shared_host(target: str) -> str | None:
    """The host of all replicas where several addresses are named on one host, else None.

    gRPC would look for the whole list in each certificate.
    """
    addresses = target.split(",")
    hosts = {_number(split_address(address.strip())[0]) for address in addresses}
    return hosts.pop() if len(addresses) > 1 and len(hosts) == 1 else None


def read_service_config(text: str | None = None) -> str:
    """The service config, by default the mesh's; SettingsRefused if it retries too much."""
    if text is None:
        text = (files("cashier") / "service_config" / "mesh.json").read_text(encoding="utf-8")
    try:
        config = orjson.loads(text)
        methods = [(method, method.get("retryPolicy")) for method in config.get("methodConfig", [])]
    except (orjson.JSONDecodeError, AttributeError):
        raise SettingsRefused(
            "the service config is not a JSON object of gRPC's service config"
        ) from None
    for method, retry in methods:
        if retry is None:
            continue
        if retry.get("retryableStatusCodes") != RETRYABLE:
            raise SettingsRefused("the service config may retry UNAVAILABLE only: see AIP-194")
        if any(
            not name.get("service") or not name.get("method") for name in method.get("name", [{}])
        ):
            raise SettingsRefused(
                "the service config must list each method that it retries by name"
            )
    return text


class MeshChannel(grpc.aio.Channel):
    """Completes each call, and goes through the telemetry package only when a span is recorded.

    gRPC runs an intercepted call in tasks of its own, which costs more than the rest of the call;
    so no interceptor is used for what is not recorded.
    """

    def __init__(self, plain: grpc.aio.Channel, recorded: grpc.aio.Channel | None) -> None:
        self._plain = plain
        self._recorded = recorded

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        await self.close()
        return None

    async def close(self, grace: float | None = None) -> None:
        if self._recorded is not None:
            await self._recorded.close(grace)
        await self._plain.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002
        return self._plain.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._plain.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._plain.channel_ready()

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._completing("unary_unary", method, *args, **kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._completing("unary_stream", method, *args, **kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._completing("stream_unary", method, *args, **kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._completing("stream_stream", method, *args, **kwargs)

    def _completing(self, kind: str, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        plain = getattr(self._plain, kind)(method, *args, **kwargs)
        recorded = None
        if self._recorded is not None:
            recorded = getattr(self._recorded, kind)(method, *args, **kwargs)
        key, streaming = needs_key(method), kind != "unary_unary"

        def call(
            *request: Any, timeout: float | None = None, metadata: Any = None, **rest: Any
        ) -> Any:
            seconds = timeout_s(timeout, streaming=streaming)
            if recorded is not None and _is_recorded():
                pairs = pairs_of(metadata, needs_key=key, with_trace=False)
                return recorded(*request, timeout=seconds, metadata=pairs, **rest)
            pairs = pairs_of(metadata, needs_key=key, with_trace=True)
            return plain(*request, timeout=seconds, metadata=pairs, **rest)

        return call


def _is_recorded() -> bool:
    """Whether the call belongs in a span: its trace is sampled, or it would begin one."""
    span = trace.get_current_span().get_span_context()
    return not span.is_valid or span.trace_flags.sampled


def _channel(
    uri: str, credentials: grpc.ChannelCredentials | None, options: Options, interceptors: Any
) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(uri, options, interceptors=interceptors or None)
    return grpc.aio.secure_channel(uri, credentials, options, interceptors=interceptors or None)


def _credentials(security: Security, target: str) -> grpc.ChannelCredentials | None:
    tls = security if isinstance(security, Tls) else security.tls()
    if tls is not None:
        return channel_credentials(tls)
    if not all(is_loopback(split_address(a.strip())[0]) for a in target.split(",")):
        raise SettingsRefused(
            f"the target {target} is not on loopback while CASHIER_PLAINTEXT is set: use TLS for it"
        )
    return None


def _options(server_name: str | None, service_config: str | None) -> Options:
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", read_service_config(service_config)),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
        ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
        ("grpc.max_metadata_size", METADATA_MAX_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_FIRST_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
        ("grpc.enable_http_proxy", 0),  # the mesh is reached directly
    ]
    if server_name is not None:
        options.append(("grpc.ssl_target_name_override", server_name))
    return options


def _number(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host
