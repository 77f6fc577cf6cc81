"""Who may call what: certificates decide, one policy file says so, and nobody learns by asking."""

import os
import subprocess
import sys

import grpc
import pytest

from cashier.payments.v1 import (
    payment_admin_service_pb2,
    payment_admin_service_pb2_grpc,
    payment_service_pb2,
    payment_service_pb2_grpc,
)
from cashier_common.rpc.client import connect_sync
from cashier_common.rpc.status import error_info
from cashier_common.settings import Tls
from cashier_mesh.certificates import DevelopmentAuthority
from tests.support.whole_mesh import CALL_S, MERCHANT, a_key, a_payment, tls_of

FOREIGN_MERCHANT = "somebody-else"
OTHER_OWN_MERCHANT = "acme-fintech"
CONNECT_S = 5.0
START_S = 60.0
EX_CONFIG = 78
GET = "/cashier.payments.v1.PaymentService/GetPayment"
VERIFY = "/cashier.payments.v1.PaymentAdminService/VerifyAuditLog"
PATHS = {
    "router": GET,
    "risk": "/cashier.risk.v1.RiskService/Assess",
    "gateway": "/cashier.gateway.v1.GatewayService/Authorize",
    "crypto": "/cashier.crypto.v1.CryptoRailService/ListTransfers",
    "recon": "/cashier.recon.v1.LedgerService/GetTrialBalance",
}


def refused(call):
    """Status and reason of a call that must not succeed."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    info = error_info(caught.value)
    return caught.value.code(), info.reason if info else ""


def denied(reason):
    return grpc.StatusCode.PERMISSION_DENIED, reason


def get(name="payments/pay_x", merchant=MERCHANT):
    return payment_service_pb2.GetPaymentRequest(merchant=merchant, name=name)


def bare_call(target, credentials, path):
    with grpc.secure_channel(target, credentials) as channel:
        return channel.unary_unary(path)(b"", timeout=CONNECT_S, wait_for_ready=False)


@pytest.fixture(scope="module")
def authority(whole_mesh):
    return DevelopmentAuthority(whole_mesh.mesh.config.data_dir / "certs")


def test_a_caller_that_the_policy_does_not_know_is_refused_everywhere(whole_mesh, authority):
    stranger = tls_of(authority.client("stranger"))

    told = {}
    for service, target in whole_mesh.targets.items():
        with connect_sync(target, stranger) as channel:
            told[service] = refused(lambda c=channel, s=service: c.unary_unary(PATHS[s])(b""))

    assert dict.fromkeys(told, denied("CALLER_UNKNOWN")) == told


def test_a_certificate_of_another_authority_gets_no_connection(whole_mesh, tmp_path):
    mine = whole_mesh.mesh.credentials("checkout")
    other = DevelopmentAuthority(tmp_path / "other").client("checkout")
    forged = Tls(other.certificate, other.private_key, mine.authority)

    for service, target in whole_mesh.targets.items():
        with connect_sync(target, forged) as channel:
            call = channel.unary_unary(PATHS[service])
            told = refused(lambda call=call: call(b"", timeout=CONNECT_S))
        assert (grpc.StatusCode.UNAVAILABLE, "") == told, service


def test_without_a_certificate_there_is_no_connection(whole_mesh):
    roots = whole_mesh.mesh.credentials("checkout").authority.read_bytes()
    anonymous = grpc.ssl_channel_credentials(root_certificates=roots)

    for service, target in whole_mesh.targets.items():
        told = refused(lambda t=target, s=service: bare_call(t, anonymous, PATHS[s]))
        assert (grpc.StatusCode.UNAVAILABLE, "") == told, service


def test_without_tls_there_is_no_connection(whole_mesh):
    for service, target in whole_mesh.targets.items():
        with grpc.insecure_channel(target) as channel:
            call = channel.unary_unary(PATHS[service])
            told = refused(lambda call=call: call(b"", timeout=CONNECT_S))
        assert (grpc.StatusCode.UNAVAILABLE, "") == told, service


def test_a_checkout_may_not_act_for_a_merchant_that_is_not_its_own(whole_mesh):
    payments, key = whole_mesh.payments(), [("idempotency-key", a_key())]

    told = [
        refused(lambda: payments.CreatePayment(a_payment(merchant=FOREIGN_MERCHANT), metadata=key)),
        refused(lambda: payments.GetPayment(get(merchant=FOREIGN_MERCHANT))),
        refused(
            lambda: payments.ListPayments(
                payment_service_pb2.ListPaymentsRequest(merchant=FOREIGN_MERCHANT)
            )
        ),
        refused(lambda: next(payments.WatchPayment(
            payment_service_pb2.WatchPaymentRequest(merchant=FOREIGN_MERCHANT, name="payments/p")
        ))),
    ]  # fmt: skip

    assert [denied("MERCHANT_DENIED")] * 4 == told


def test_a_checkout_may_not_use_what_operators_use(whole_mesh):
    admin = payment_admin_service_pb2_grpc.PaymentAdminServiceStub(whole_mesh.channel())

    told = {
        "verify": refused(
            lambda: admin.VerifyAuditLog(payment_admin_service_pb2.VerifyAuditLogRequest())
        ),
        "events": refused(
            lambda: next(
                admin.StreamPaymentEvents(
                    payment_admin_service_pb2.StreamPaymentEventsRequest(), timeout=CALL_S
                )
            )
        ),
        "risk": refused(lambda: whole_mesh.raw(PATHS["risk"], b"", service="risk")),
        "gateway": refused(lambda: whole_mesh.raw(PATHS["gateway"], b"", service="gateway")),
        "recon": refused(lambda: whole_mesh.raw(PATHS["recon"], b"", service="recon")),
    }

    assert dict.fromkeys(told, denied("METHOD_DENIED")) == told


def test_an_operator_may_do_both(whole_mesh):
    paid, _ = whole_mesh.pay()
    channel = whole_mesh.channel("router", "operator")

    seen = payment_service_pb2_grpc.PaymentServiceStub(channel).GetPayment(get(paid.name))
    admin = payment_admin_service_pb2_grpc.PaymentAdminServiceStub(channel)
    verified = admin.VerifyAuditLog(payment_admin_service_pb2.VerifyAuditLogRequest())

    assert paid == seen
    assert [] == list(verified.findings)
    assert verified.checked_row_count > 0


def test_permission_is_checked_before_existence_and_before_the_request(whole_mesh):
    """A caller without rights must not learn what there is, not even what the contract says."""
    paid, _ = whole_mesh.pay()
    payments = whole_mesh.payments()

    foreign = {
        refused(lambda: payments.GetPayment(get(paid.name, FOREIGN_MERCHANT))),
        refused(lambda: payments.GetPayment(get("payments/pay_none", FOREIGN_MERCHANT))),
        refused(lambda: payments.GetPayment(get("", FOREIGN_MERCHANT))),
    }
    broken = refused(lambda: whole_mesh.raw(VERIFY, b"\xff\xff\xff"))
    own = refused(lambda: payments.GetPayment(get(paid.name, OTHER_OWN_MERCHANT)))
    absent = refused(lambda: payments.GetPayment(get("payments/pay_none", OTHER_OWN_MERCHANT)))

    assert {denied("MERCHANT_DENIED")} == foreign
    assert denied("METHOD_DENIED") == broken
    assert own == absent == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


def test_identity_comes_from_the_certificate_and_never_from_metadata(whole_mesh):
    claims = [
        ("x-caller", "spiffe://cashier.local/client/operator"),
        ("x-forwarded-client-cert", "URI=spiffe://cashier.local/client/operator"),
        ("authorization", "Bearer operator"),
    ]

    assert denied("METHOD_DENIED") == refused(lambda: whole_mesh.raw(VERIFY, b"", *claims))


@pytest.mark.some(1)
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"PLAINTEXT": "true", "LISTEN": "0.0.0.0:0"}, "CASHIER_PLAINTEXT"),
        ({"TLS_CERTIFICATE": "", "TLS_PRIVATE_KEY": "", "TLS_AUTHORITY": ""}, "TLS_CERTIFICATE"),
    ],
    ids=["plain text beyond loopback", "no certificate and no word of plain text"],
)
def test_a_server_that_would_speak_in_the_open_does_not_start(whole_mesh, changes, sentence):
    env = whole_mesh.mesh.service_env("router")
    env |= {f"CASHIER_{name}": value for name, value in changes.items()}

    ended = subprocess.run(
        [sys.executable, "-m", "cashier_router", "serve"], env={**os.environ, **env},
        capture_output=True, text=True, timeout=START_S, check=False,
    )  # fmt: skip

    assert EX_CONFIG == ended.returncode
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
