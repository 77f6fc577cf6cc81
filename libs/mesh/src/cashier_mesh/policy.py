"""Writes the development access policy: which certificate may use which merchants and methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from cashier_mesh.certificates import client_uri, service_uri
from cashier_mesh.private_files import write_private

EVERY_MERCHANT = ("*",)
MERCHANTS = ("acme-games", "acme-fintech")
# What any party may ask of a server: whether it lives and what it offers.
INSPECTION = (
    "/grpc.health.v1.Health/*",
    "/grpc.reflection.v1.ServerReflection/*",
    "/grpc.reflection.v1alpha.ServerReflection/*",
)
CHANNELS = "/grpc.channelz.v1.Channelz/*"
PAYMENTS = "/cashier.payments.v1.PaymentService/*"
PAYMENTS_ADMIN = "/cashier.payments.v1.PaymentAdminService/"
ROUTING = "/cashier.payments.v1.RoutingService/*"
RISK = "/cashier.risk.v1.RiskService/*"
RISK_ADMIN = "/cashier.risk.v1.RiskAdminService/"
RAIL = "/cashier.gateway.v1.GatewayService/"
RAIL_ADMIN = "/cashier.gateway.v1.GatewayAdminService/*"
CRYPTO = "/cashier.crypto.v1.CryptoRailService/*"
RECON = "/cashier.recon.v1.ReconService/*"
LEDGER = "/cashier.recon.v1.LedgerService/*"


@dataclass(frozen=True)
class Grant:
    """What one certificate may do; methods are globs on `/package.Service/Method`."""

    uri: str
    merchants: Sequence[str]
    methods: Sequence[str]


GRANTS = (
    Grant(
        service_uri("router"),
        EVERY_MERCHANT,
        (RISK, f"{RISK_ADMIN}StreamDecisions", f"{RAIL}*", CRYPTO),
    ),
    Grant(service_uri("risk"), EVERY_MERCHANT, ()),
    Grant(service_uri("gateway"), EVERY_MERCHANT, ()),
    Grant(service_uri("crypto"), EVERY_MERCHANT, ("/cashier.risk.v1.RiskService/ScreenAddress",)),
    Grant(
        service_uri("recon"),
        EVERY_MERCHANT,
        (
            f"{PAYMENTS_ADMIN}StreamPaymentEvents",
            "/cashier.payments.v1.PaymentService/GetPayment",
            f"{RAIL}StreamOutcomes",
            f"{RAIL}ListCapabilities",
            "/cashier.risk.v1.RiskService/ReportOutcome",
        ),
    ),
    # The supervisor asks the servers whether they are ready, and nothing else.
    Grant(service_uri("mesh"), EVERY_MERCHANT, ()),
    Grant(client_uri("checkout"), MERCHANTS, (PAYMENTS, CRYPTO)),
    Grant(
        client_uri("demo"),
        MERCHANTS,
        (
            PAYMENTS,
            CRYPTO,
            ROUTING,
            f"{PAYMENTS_ADMIN}ExplainPayment",
            f"{PAYMENTS_ADMIN}ListInDoubt",
            f"{PAYMENTS_ADMIN}VerifyAuditLog",
            RECON,
            LEDGER,
        ),
    ),
    Grant(
        client_uri("operator"),
        EVERY_MERCHANT,
        (
            PAYMENTS,
            f"{PAYMENTS_ADMIN}*",
            ROUTING,
            RISK,
            f"{RISK_ADMIN}*",
            f"{RAIL}*",
            RAIL_ADMIN,
            CRYPTO,
            RECON,
            LEDGER,
            CHANNELS,
        ),
    ),
)


def write_policy(path: Path, grants: Sequence[Grant] = GRANTS) -> Path:
    """Write the policy file `callers: {uri: {merchants: […], methods: […]}}`."""
    callers = {
        grant.uri: {
            "merchants": list(grant.merchants),
            "methods": [*INSPECTION, *grant.methods],
        }
        for grant in grants
    }
    write_private(path, yaml.safe_dump({"callers": callers}, sort_keys=False).encode())
    return path
