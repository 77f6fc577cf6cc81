"""Health follows the database within seconds, both ways, and calls in between lose nothing."""

import time
import uuid

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from cashier.common.v1 import money_pb2
from cashier.crypto.v1 import crypto_rail_service_pb2, crypto_rail_service_pb2_grpc
from cashier.gateway.v1 import gateway_service_pb2
from cashier.payments.v1 import payment_pb2, payment_service_pb2
from cashier.recon.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from cashier.risk.v1 import (
    risk_admin_service_pb2,
    risk_admin_service_pb2_grpc,
    risk_service_pb2,
    risk_service_pb2_grpc,
)
from cashier_common.rpc.status import error_info, is_nothing_happened
from tests.support.whole_mesh import CALL_S, MERCHANT, a_card, a_key, a_payment, eventually

Status = health_pb2.HealthCheckResponse
NOTICED_WITHIN_S = 10.0
WELL_AFTER_S = 15.0
HINTS_AWAY_WITHIN_S = 15.0


def health_of(whole_mesh, service):
    """What a server says of itself and of each service that it offers."""
    channel = whole_mesh.channel(service)
    names = ["", *offered(whole_mesh, service)]
    stub = health_pb2_grpc.HealthStub(channel)
    return {
        name: stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=CALL_S).status
        for name in names
    }


def offered(whole_mesh, service):
    named = ProtoReflectionDescriptorDatabase(whole_mesh.channel(service)).get_services()
    return [name for name in named if name.startswith("cashier.")]


def not_in(whole_mesh, status, *, within_s):
    """Who has not come to report this status when the time is up; empty as soon as all have."""
    ends = time.monotonic() + within_s
    while True:
        others = {
            f"{service} {name}": Status.ServingStatus.Name(told)
            for service in whole_mesh.services
            for name, told in health_of(whole_mesh, service).items()
            if told != status
        }
        if not others or time.monotonic() > ends:
            return others
        time.sleep(0.1)


def calls_that_need_a_database(whole_mesh):
    """One call to each service, and none of them may move anything while its database is away."""
    name = f"payments/pay_{'a' * 26}/operations/1"
    charge = gateway_service_pb2.AuthorizeRequest(
        merchant=MERCHANT, operation=name, processor_account="sandbox-us", capture=True,
        amount=money_pb2.Money(minor=1_000, asset_code="USD"), instrument=a_card(),
    )  # fmt: skip
    assess = risk_service_pb2.AssessRequest(
        merchant=MERCHANT, payment=f"payments/pay_{'a' * 26}", amount=charge.amount,
        direction=risk_service_pb2.DIRECTION_PAYMENT, instrument=a_card(),
    )  # fmt: skip
    assess.instrument.ClearField("tokens")
    risk = risk_service_pb2_grpc.RiskServiceStub(whole_mesh.channel("risk", "operator"))
    crypto = crypto_rail_service_pb2_grpc.CryptoRailServiceStub(whole_mesh.channel("crypto"))
    ledger = ledger_service_pb2_grpc.LedgerServiceStub(whole_mesh.channel("recon", "operator"))
    key = ("idempotency-key", f"away-{uuid.uuid4().hex}")
    return {
        "router": whole_mesh.pay,
        "router reads": lambda: whole_mesh.payments().GetPayment(
            payment_service_pb2.GetPaymentRequest(merchant=MERCHANT, name="payments/pay_x"),
            timeout=CALL_S,
        ),
        "gateway": lambda: whole_mesh.rail.Authorize(
            charge, timeout=CALL_S, metadata=[("idempotency-key", name)]
        ),
        "risk": lambda: risk.Assess(assess, timeout=CALL_S, metadata=[key]),
        "crypto": lambda: crypto.ListTransfers(
            crypto_rail_service_pb2.ListTransfersRequest(merchant=MERCHANT), timeout=CALL_S
        ),
        "recon": lambda: ledger.GetTrialBalance(
            ledger_service_pb2.GetTrialBalanceRequest(), timeout=CALL_S
        ),
    }


@pytest.fixture
def database_away(whole_mesh):
    """PostgreSQL crashes; whatever happens, it is back afterwards and everybody serves again."""
    postgres = whole_mesh.mesh.stores.postgres
    postgres.kill()
    yield postgres
    if not postgres.running():
        postgres.start()
    assert {} == not_in(whole_mesh, Status.SERVING, within_s=WELL_AFTER_S)


def test_every_server_reports_itself_and_each_of_its_services(whole_mesh):
    services = {service: health_of(whole_mesh, service) for service in whole_mesh.services}

    assert "cashier.payments.v1.PaymentService" in services["router"]
    assert "cashier.risk.v1.RiskService" in services["risk"]
    assert "cashier.gateway.v1.GatewayService" in services["gateway"]
    for service, health in services.items():
        assert {Status.SERVING} == set(health.values()), service
        assert len(health) > 1, service


def test_health_of_a_service_that_is_not_there_is_not_found(whole_mesh):
    stub = health_pb2_grpc.HealthStub(whole_mesh.channel())

    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="cashier.none.v1.None"), timeout=CALL_S)

    assert grpc.StatusCode.NOT_FOUND == refused.value.code()


def test_without_its_database_nothing_serves_nothing_happens_and_all_comes_back(
    whole_mesh, database_away
):
    processes = {unit.name: unit.process.pid for unit in whole_mesh.mesh.units}
    key, request = a_key(), a_payment()

    assert {} == not_in(whole_mesh, Status.NOT_SERVING, within_s=NOTICED_WITHIN_S)
    told = {name: refusal(call) for name, call in calls_that_need_a_database(whole_mesh).items()}
    tried = refusal(lambda: whole_mesh.send(request, ("idempotency-key", key)))

    assert {grpc.StatusCode.UNAVAILABLE} == {error.code() for error in [*told.values(), tried]}
    reasons = {name: error_info(error).reason for name, error in told.items()}
    assert dict.fromkeys(reasons, "STORE_UNAVAILABLE") == reasons
    assert all(is_nothing_happened(error) for error in told.values())

    database_away.start()
    assert {} == not_in(whole_mesh, Status.SERVING, within_s=NOTICED_WITHIN_S)
    paid, trailing = eventually(lambda: whole_mesh.send(request, ("idempotency-key", key)))

    assert payment_pb2.Payment.STATE_SUCCEEDED == paid.state
    assert "idempotent-replayed" not in trailing  # the refused try had promised nothing
    assert processes == {unit.name: unit.process.pid for unit in whole_mesh.mesh.units}
    assert whole_mesh.mesh.running


def refusal(call):
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return refused.value


def is_degraded(whole_mesh, payment):
    risk = risk_admin_service_pb2_grpc.RiskAdminServiceStub(whole_mesh.channel("risk", "operator"))
    assessment = risk.GetAssessment(
        risk_admin_service_pb2.GetAssessmentRequest(merchant=MERCHANT, name=payment.assessment),
        timeout=CALL_S,
    )
    return assessment.degraded


def pay_and_tell(whole_mesh):
    """What became of a payment, and whether risk says that it saw less than it should."""
    payment, _ = whole_mesh.pay()
    return payment.state, is_degraded(whole_mesh, payment)


def goes_through(whole_mesh):
    return (payment_pb2.Payment.STATE_SUCCEEDED, False) == pay_and_tell(whole_mesh)


def test_without_its_hints_every_payment_is_taken_with_more_caution_and_nobody_waits(whole_mesh):
    """The counts come from the rows then; money goes on moving, and risk says what it missed."""
    valkey = whole_mesh.mesh.stores.valkey
    eventually(lambda: goes_through(whole_mesh), HINTS_AWAY_WITHIN_S)

    valkey.kill()
    try:
        began = time.monotonic()
        told = [pay_and_tell(whole_mesh) for _ in range(5)]
        took_s = time.monotonic() - began
        unwell = not_in(whole_mesh, Status.SERVING, within_s=0)
    finally:
        valkey.start()

    assert [(payment_pb2.Payment.STATE_SUCCEEDED, True)] * 5 == told
    assert took_s < 5.0  # nobody waits for what is down
    assert {} == unwell  # hints are no reason to turn callers away
    eventually(lambda: goes_through(whole_mesh), HINTS_AWAY_WITHIN_S)
