"""The audit records after the faults: unbroken, without a gap, and legal step by step."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from cashier.crypto.v1 import crypto_rail_service_pb2, crypto_rail_service_pb2_grpc
from cashier.gateway.v1 import gateway_admin_service_pb2, gateway_admin_service_pb2_grpc
from cashier.payments.v1 import (
    payment_admin_service_pb2,
    payment_admin_service_pb2_grpc,
    payment_pb2,
)
from cashier.recon.v1 import recon_service_pb2, recon_service_pb2_grpc
from cashier.risk.v1 import risk_admin_service_pb2, risk_admin_service_pb2_grpc
from cashier_common.db.audit import SHARD_COUNT
from cashier_common.rpc.client import connect
from cashier_mesh.supervisor import Mesh
from cashier_router.domain.lifecycle import OPERATION, OperationEvent, OperationState
from tests.support.invariants import Violation
from tests.support.mesh_client import Payment
from tests.support.whole_mesh import tls_of

CALL_S = 20.0
# A stream of events stays open: what was sealed comes at once, and then nothing for so long.
QUIET_S = 1.5
STATES = {state.name: state for state in OperationState}
# What a rail takes back opens an operation of its own, beside the one that the step is about.
EVENTS = {event.name: event for event in OperationEvent if event is not OperationEvent.TAKE_BACK}
Operation = payment_pb2.Operation
Event = payment_admin_service_pb2.PaymentEvent


async def broken_records(mesh: Mesh) -> set[Violation]:
    """What the services' own audit chains say about themselves."""
    tls = tls_of(mesh.credentials("operator"))
    admin = payment_admin_service_pb2
    asked = {
        "router": (payment_admin_service_pb2_grpc.PaymentAdminServiceStub, admin),
        "risk": (risk_admin_service_pb2_grpc.RiskAdminServiceStub, risk_admin_service_pb2),
        "crypto": (crypto_rail_service_pb2_grpc.CryptoRailServiceStub, crypto_rail_service_pb2),
        "recon": (recon_service_pb2_grpc.ReconServiceStub, recon_service_pb2),
        "gateway": (
            gateway_admin_service_pb2_grpc.GatewayAdminServiceStub,
            gateway_admin_service_pb2,
        ),
    }
    found = set()
    for service, (stub, messages) in asked.items():
        async with connect(mesh.targets[service].split(",")[0], tls) as channel:
            answer = await stub(channel).VerifyAuditLog(
                messages.VerifyAuditLogRequest(), timeout=CALL_S
            )
        found |= {Violation("AUDIT", service, str(finding)) for finding in answer.findings}
    return found


async def illegal_steps(mesh: Mesh, payments: Sequence[Payment]) -> set[Violation]:
    """Sealed steps that no table allows, that are missing, or that end elsewhere than we are."""
    steps: dict[str, list[Event]] = defaultdict(list)
    for shard in range(SHARD_COUNT):
        async for event in _sealed(mesh, shard):
            steps[event.step.subject].append(event)
    found = set()
    for payment in payments:
        told = steps.pop(payment.name, [])
        found |= {wrong for event in told if (wrong := _illegal(event))}
        versions = [event.step.version for event in told]
        if versions != list(range(versions[0], versions[0] + len(told)) if told else [0]):
            found.add(Violation("STEPS_MISSING", payment.name, str(versions)))
        elif told[-1].payment.state != payment.state or _differ(payment, told):
            found.add(Violation("ENDS_ELSEWHERE", payment.name, str(_differ(payment, told))))
    return found | {Violation("STEPS_OF_NOTHING", name, "") for name in steps}


async def _sealed(mesh: Mesh, shard: int) -> AsyncIterator[Event]:
    tls = tls_of(mesh.credentials("operator"))
    async with connect(mesh.targets["router"].split(",")[0], tls) as channel:
        stub = payment_admin_service_pb2_grpc.PaymentAdminServiceStub(channel)
        request = payment_admin_service_pb2.StreamPaymentEventsRequest(shard=shard)
        stream = stub.StreamPaymentEvents(request, timeout=CALL_S)
        try:
            while True:
                event = await asyncio.wait_for(stream.read(), QUIET_S)
                if not isinstance(event, Event):
                    return
                yield event
        except TimeoutError:
            stream.cancel()


def _illegal(event: Event) -> Violation | None:
    """A step that moved an operation otherwise than the operation's table says."""
    step = event.step
    if step.before_state not in STATES or step.action not in EVENTS:
        return None  # it is about the payment, or keeps a word as evidence
    move = STATES[step.before_state], EVENTS[step.action]
    after = Operation.State.Name(event.operation.state).removeprefix("STATE_")
    allowed = OPERATION.transitions.get(move)
    if allowed is not None and allowed.name == after:
        return None
    return Violation("ILLEGAL_STEP", event.operation.name, f"{step.action}: {move[0].name} {after}")


def _differ(payment: Payment, told: Sequence[Event]) -> dict[str, str]:
    """Operations that stand elsewhere than when a step last spoke of them.

    A void may close what it acts on: that step speaks of the void.
    """
    closed = {o.target for o in payment.operations if o.kind == Operation.KIND_VOID}
    last = {event.operation.name: event.operation.state for event in told}
    return {
        o.name: Operation.State.Name(o.state)
        for o in payment.operations
        if o.name not in closed and o.state != last.get(o.name, o.state)
    }
