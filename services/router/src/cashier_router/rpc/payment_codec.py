"""Payments to their resources."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from cashier.common.v1 import action_pb2, instrument_pb2, money_pb2
from cashier.payments.v1 import payment_pb2
from cashier_router.domain.lifecycle import OperationState, PaymentState
from cashier_router.domain.payment import (
    CaptureMethod,
    Direction,
    Operation,
    OperationKind,
    Payment,
)
from cashier_router.domain.routing import Decision
from cashier_router.rpc.command_codec import METHOD_NUMBERS

PAYMENT_STATES = {s: payment_pb2.Payment.State.Value(f"STATE_{s.name}") for s in PaymentState}
OPERATION_STATES = {s: payment_pb2.Operation.State.Value(f"STATE_{s.name}") for s in OperationState}
KINDS = {k: payment_pb2.Operation.Kind.Value(f"KIND_{k.name}") for k in OperationKind}
DIRECTIONS = {d: payment_pb2.Payment.Direction.Value(f"DIRECTION_{d.name}") for d in Direction}
CAPTURES = {c: payment_pb2.CaptureMethod.Value(f"CAPTURE_METHOD_{c.name}") for c in CaptureMethod}
_NANOS_PER_MICRO = 1_000


def to_time(at: datetime) -> Timestamp:
    """A UTC time as a Timestamp."""
    seconds = int(at.replace(microsecond=0).astimezone(UTC).timestamp())
    return Timestamp(seconds=seconds, nanos=at.microsecond * _NANOS_PER_MICRO)


def to_proto(payment: Payment) -> payment_pb2.Payment:
    """The resource of a payment as it stands."""
    asset = payment.amount.asset

    def money(minor: int) -> money_pb2.Money:
        return money_pb2.Money(minor=minor, asset_code=asset)

    answer = payment_pb2.Payment(
        name=payment.name, merchant=payment.merchant,
        merchant_reference=payment.merchant_reference, direction=DIRECTIONS[payment.direction],
        state=PAYMENT_STATES[payment.state], in_doubt=payment.in_doubt,
        amount=money(payment.amount.minor), authorized_amount=money(payment.authorized_minor),
        captured_amount=money(payment.captured_minor),
        refunded_amount=money(payment.refunded_minor),
        disputed_amount=money(payment.disputed_minor), voided_amount=money(payment.voided_minor),
        method=instrument_pb2.PaymentMethod.ValueType(
            METHOD_NUMBERS[payment.terms.instrument.method]
        ),
        capture_method=CAPTURES[payment.capture_method],
        operations=[_operation(payment, operation) for operation in payment.operations],
        assessment=payment.assessment, metadata=payment.terms.metadata, etag=payment.etag,
        create_time=to_time(payment.create_time), update_time=to_time(payment.update_time),
        statement_descriptor=payment.terms.statement_descriptor,
    )  # fmt: skip
    if payment.decision is not None:
        answer.routing_decision.CopyFrom(_decision(payment.decision))
    if payment.failure is not None:
        answer.failure.CopyFrom(
            payment_pb2.Failure(
                meaning=payment.failure.meaning,
                processor_code=payment.failure.processor_code,
                message=payment.failure.message,
                retryable_by_customer=payment.failure.retryable_by_customer,
            )
        )
    for operation in reversed(payment.operations):
        if operation.next_action is not None:
            answer.next_action.CopyFrom(action_pb2.NextAction.FromString(operation.next_action))
            break
    return answer


def _operation(payment: Payment, operation: Operation) -> payment_pb2.Operation:
    answer = payment_pb2.Operation(
        name=payment.operation_name(operation.number), kind=KINDS[operation.kind],
        state=OPERATION_STATES[operation.state], rail=operation.rail,
        processor_account=operation.account, processor_reference=operation.processor_reference,
        amount=money_pb2.Money(minor=operation.amount.minor, asset_code=operation.amount.asset),
        processor_code=operation.processor_code, decline_meaning=operation.decline_meaning,
        create_time=to_time(operation.create_time), update_time=to_time(operation.update_time),
    )  # fmt: skip
    if operation.next_action is not None:
        answer.next_action.CopyFrom(action_pb2.NextAction.FromString(operation.next_action))
    return answer


def _decision(decision: Decision) -> payment_pb2.RoutingDecision:
    plan = decision.plan
    return payment_pb2.RoutingDecision(
        policy_version=decision.policy_version,
        candidates=[
            payment_pb2.RouteCandidate(
                rail=candidate.rail, processor_account=candidate.account,
                removed_by=candidate.removed_by, detail=candidate.detail,
                expected_fee=money_pb2.Money(
                    minor=candidate.fee_minor, asset_code=candidate.asset
                ),
            )
            for candidate in decision.candidates
        ],
        chosen_account=plan[0].account if plan else "",
        propensity_ppm=decision.propensity_ppm,
    )  # fmt: skip


def step_payment(facts: dict[str, Any]) -> payment_pb2.Payment:
    """The payment of a sealed step, from the step's own facts."""

    def money(name: str) -> money_pb2.Money:
        return money_pb2.Money(minor=facts[name], asset_code=facts["asset"])

    answer = payment_pb2.Payment(
        name=facts["name"], merchant=facts["merchant"],
        merchant_reference=facts["merchant_reference"],
        direction=DIRECTIONS[Direction(facts["direction"])],
        state=PAYMENT_STATES[PaymentState(facts["state"])], in_doubt=facts["in_doubt"],
        amount=money("minor"), authorized_amount=money("authorized"),
        captured_amount=money("captured"), refunded_amount=money("refunded"),
        disputed_amount=money("disputed"), voided_amount=money("voided"),
        method=instrument_pb2.PaymentMethod.Value(f"PAYMENT_METHOD_{facts['method'].upper()}"),
        capture_method=CAPTURES[CaptureMethod(facts["capture_method"])],
        assessment=facts["assessment"], create_time=_stored_time(facts["create_time"]),
        update_time=_stored_time(facts["update_time"]),
    )  # fmt: skip
    if facts["failure"] is not None:
        answer.failure.CopyFrom(payment_pb2.Failure(**facts["failure"]))
    return answer


def step_operation(payment: str, facts: dict[str, Any]) -> payment_pb2.Operation:
    """The operation of a sealed step, from the step's own facts."""
    return payment_pb2.Operation(
        name=f"{payment}/operations/{facts['number']}", kind=KINDS[OperationKind(facts["kind"])],
        state=OPERATION_STATES[OperationState(facts["state"])], rail=facts["rail"],
        processor_account=facts["account"], processor_reference=facts["processor_reference"],
        amount=money_pb2.Money(minor=facts["minor"], asset_code=facts["asset"]),
        processor_code=facts["processor_code"], decline_meaning=facts["decline_meaning"],
        create_time=_stored_time(facts["create_time"]),
        update_time=_stored_time(facts["update_time"]),
    )  # fmt: skip


def _stored_time(text: str) -> Timestamp:
    return to_time(datetime.fromisoformat(text))
