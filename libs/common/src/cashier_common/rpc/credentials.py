"""Mutual TLS: every process shows its own certificate and asks for one of the mesh's authority."""

from dataclasses import dataclass

import grpc

from cashier_common.settings import SettingsRefused, Tls


@dataclass(frozen=True, slots=True)
class Material:
    """What the three PEM files hold."""

    certificate: bytes
    private_key: bytes
    authority: bytes


def read(tls: Tls) -> Material:
    """The files' contents; SettingsRefused names the one that cannot be read."""
    contents = []
    for path in (tls.certificate, tls.private_key, tls.authority):
        try:
            contents.append(path.read_bytes())
        except OSError as error:
            raise SettingsRefused(f"{path} cannot be read: {error.strerror}") from None
    return Material(*contents)


def server_credentials(tls: Tls) -> grpc.ServerCredentials:
    """Credentials that turn away a client without a certificate of the mesh's authority."""
    material = read(tls)
    return grpc.ssl_server_credentials(
        [(material.private_key, material.certificate)],
        root_certificates=material.authority,
        require_client_auth=True,
    )


def channel_credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Credentials that show our certificate and trust the mesh's authority alone."""
    material = read(tls)
    return grpc.ssl_channel_credentials(
        root_certificates=material.authority,
        private_key=material.private_key,
        certificate_chain=material.certificate,
    )
