"""A real server over a real port with real certificates, for tests of how every server behaves."""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cashier_common.logs import CallLog
from cashier_common.rpc.call import Call, current_call
from cashier_common.rpc.client import connect
from cashier_common.rpc.identity import AccessPolicy, parse_policy
from cashier_common.rpc.server import MeshServer
from cashier_common.settings import Environment, ServiceSettings, Tls
from tests.contract.parcels import SERVICE, grpc_stubs, pb

CHECKOUT = "spiffe://cashier.local/client/checkout"
OPERATOR = "spiffe://cashier.local/client/operator"
READER = "spiffe://cashier.local/client/reader"
STRANGER = "spiffe://cashier.local/client/stranger"
ROUTER = "spiffe://cashier.local/service/router"
KEY = "order-2026-11-22-0001"


class Parcels(grpc_stubs.ParcelServiceServicer):  # type: ignore[misc] # known while running only
    """Answers what the call looked like, and fails on request."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.calls: list[Call] = []
        self.raises: BaseException | None = None
        self.sleeps_s = 0.0

    async def SendParcel(self, request, context):
        self.sent.append(request)
        self.calls.append(current_call())
        if self.sleeps_s:
            await asyncio.sleep(self.sleeps_s)
        if self.raises is not None:
            raise self.raises
        if request.note == "again":
            current_call().mark_replayed()
        return pb.Parcel(text=current_call().traceparent)

    async def WatchParcel(self, request, context):
        for number in range(3):
            yield pb.Parcel(text=str(number))
        if self.sleeps_s:
            await asyncio.sleep(self.sleeps_s)
        if self.raises is not None:
            raise self.raises

    async def ImportParcels(self, requests, context):
        lines = [request.line async for request in requests]
        return pb.Parcel(text=",".join(lines))


class Certificates:
    """One authority and what it signed, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority")
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(_pem(self._sign(self._key, self._name, [], is_authority=True)))

    def issue(self, *uris: str) -> Tls:
        """Files of a certificate with these URI names, good for localhost."""
        stem = f"leaf-{len(list(self.folder.iterdir()))}"
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName("localhost")]
        names += [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        names += [x509.UniformResourceIdentifier(uri) for uri in uris]
        certificate = self.folder / f"{stem}.pem"
        private_key = self.folder / f"{stem}.key"
        certificate.write_bytes(_pem(self._sign(key, _name(stem), names, is_authority=False)))
        private_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Tls(certificate, private_key, self.authority)

    def _sign(self, key, name, names, *, is_authority):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


class RecordedLog(CallLog):
    """A call log that tests read."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        super().__init__("parcels", self.lines.append)


def policy() -> AccessPolicy:
    every = ["/parcels.v1.ParcelService/*"]
    callers = {
        CHECKOUT: {"merchants": ["acme"], "methods": every},
        OPERATOR: {"merchants": ["*"], "methods": ["*"]},
        READER: {"merchants": ["acme"], "methods": ["/parcels.v1.ParcelService/WatchParcel"]},
    }
    return parse_policy({"callers": callers}, "test")


def settings(tls: Tls, **changes: Any) -> ServiceSettings:
    values: dict[str, Any] = {
        "environment": Environment.DEVELOPMENT,
        "listen": "127.0.0.1:0",
        "tls_certificate": tls.certificate,
        "tls_private_key": tls.private_key,
        "tls_authority": tls.authority,
    }
    return ServiceSettings(**(values | changes))


def a_parcel(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "merchant": "acme",
        "size": pb.SIZE_SMALL,
        "address": pb.Address(street="Elm Street"),
        "cash": 5,
    }
    return pb.SendParcelRequest(**(values | changes))


class Mesh:
    """A running server and a way to call it as anybody."""

    def __init__(self, certificates: Certificates, servicer: Parcels, log: RecordedLog) -> None:
        self.certificates = certificates
        self.servicer = servicer
        self.log = log
        self.port = 0
        self._channels: list[Any] = []

    def channel(self, *uris: str, **options: Any) -> Any:
        tls = self.certificates.issue(*uris)
        channel = connect(f"127.0.0.1:{self.port}", tls, server_name="localhost", **options)
        self._channels.append(channel)
        return channel

    def stub(self, *uris: str, **options: Any) -> Any:
        return grpc_stubs.ParcelServiceStub(self.channel(*(uris or (CHECKOUT,)), **options))

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


@asynccontextmanager
async def a_mesh(
    folder: Path,
    *,
    settings_changes: Mapping[str, Any] | None = None,
    certificates: Certificates | None = None,
    **server: Any,
) -> AsyncIterator[Mesh]:
    mesh = Mesh(certificates or Certificates(folder), Parcels(), RecordedLog())
    running = MeshServer(
        settings(mesh.certificates.issue(ROUTER), **(settings_changes or {})),
        domain="parcels.cashier",
        services=[(grpc_stubs.add_ParcelServiceServicer_to_server, mesh.servicer, SERVICE)],
        policy=policy(),
        calls=mesh.log,
        **server,
    )
    mesh.port = await running.start()
    try:
        yield mesh
    finally:
        await mesh.close()
        await running.stop(0)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
