"""Payments to their resources."""

from datetime import UTC, datetime

from cashier.common.v1 import action_pb2, instrument_pb2, money_pb2
from cashier.payments.v1 import payment_pb2
from cashier_router.domain.attention import Attention, attention
from cashier_router.domain.lifecycle import OperationKind, OperationState, PaymentState
from cashier_router.domain.payment import (
    CaptureMethod,
    Direction,
    Operation,
    Payment,
)
from cashier_router.domain.routing import Decision
from cashier_router.rpc.command_codec import METHOD_NUMBERS
from cashier_router.rpc.dispute_codec import dispute_of
from cashier_router.rpc.times import to_time

PAYMENT_STATES = {s: payment_pb2.Payment.State.Value(f"STATE_{s.name}") for s in PaymentState}
OPERATION_STATES = {s: payment_pb2.Operation.State.Value(f"STATE_{s.name}") for s in OperationState}
KINDS = {k: payment_pb2.Operation.Kind.Value(f"KIND_{k.name}") for k in OperationKind}
DIRECTIONS = {d: payment_pb2.Payment.Direction.Value(f"DIRECTION_{d.name}") for d in Direction}
CAPTURES = {c: payment_pb2.CaptureMethod.Value(f"CAPTURE_METHOD_{c.name}") for c in CaptureMethod}
ATTENTIONS = {a: payment_pb2.Payment.Attention.Value(f"ATTENTION_{a.name}") for a in Attention}


def to_proto(payment: Payment) -> payment_pb2.Payment:
    """The resource of a payment as it stands."""
    now = datetime.now(UTC)
    asset = payment.amount.asset

    def money(minor: int) -> money_pb2.Money:
        return money_pb2.Money(minor=minor, asset_code=asset)

    answer = payment_pb2.Payment(
        name=payment.name, merchant=payment.merchant,
        merchant_reference=payment.merchant_reference, direction=DIRECTIONS[payment.direction],
        state=PAYMENT_STATES[payment.state], in_doubt=payment.in_doubt,
        amount=money(payment.amount.minor), authorized_amount=money(payment.amounts.authorized),
        captured_amount=money(payment.amounts.captured),
        refunded_amount=money(payment.amounts.refunded),
        disputed_amount=money(payment.amounts.disputed),
        voided_amount=money(payment.amounts.voided),
        method=instrument_pb2.PaymentMethod.ValueType(
            METHOD_NUMBERS[payment.terms.instrument.method]
        ),
        capture_method=CAPTURES[payment.capture_method],
        operations=[_operation(payment, operation) for operation in payment.operations],
        assessment=payment.assessment, metadata=payment.terms.metadata, etag=payment.etag,
        create_time=to_time(payment.create_time), update_time=to_time(payment.update_time),
        statement_descriptor=payment.terms.statement_descriptor,
        origin_payment=payment.origin_payment, cancel_requested=payment.cancel_requested,
        disputes=[dispute_of(payment, dispute, now) for dispute in payment.disputes],
        attention=[ATTENTIONS[reason] for reason in attention(payment)],
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
        target=payment.operation_name(operation.target) if operation.target else "",
        final=operation.final,
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
