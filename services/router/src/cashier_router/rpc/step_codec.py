"""Sealed steps to their events: what a step's own facts say, whatever has happened since."""

from datetime import datetime
from typing import Any

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from cashier.common.v1 import audit_pb2, instrument_pb2, money_pb2
from cashier.payments.v1 import dispute_pb2, payment_admin_service_pb2, payment_pb2
from cashier_common.db.audit import SealedStep
from cashier_router.domain.amounts import Problem
from cashier_router.domain.dispute import Dispute
from cashier_router.domain.lifecycle import OperationKind, OperationState, PaymentState
from cashier_router.domain.payment import CaptureMethod, Direction, dispute_name
from cashier_router.rpc.dispute_codec import dispute_to_proto
from cashier_router.rpc.payment_codec import (
    CAPTURES,
    DIRECTIONS,
    KINDS,
    OPERATION_STATES,
    PAYMENT_STATES,
)
from cashier_router.rpc.times import to_time


def to_event(row: SealedStep) -> payment_admin_service_pb2.PaymentEvent:
    """The event of one sealed step."""
    facts = orjson.loads(row.payload)
    event = payment_admin_service_pb2.PaymentEvent(
        step=audit_pb2.SealedStep(
            shard=row.shard, position=row.position, merchant=row.merchant, subject=row.subject,
            version=row.version, actor=row.actor, action=row.action, before_state=row.before_state,
            after_state=row.after_state, payload_json=row.payload, payload_hash=row.payload_hash,
            chain_hash=row.chain_hash, traceparent=row.traceparent,
            record_time=to_time(row.record_time),
        ),
        payment=_step_payment(facts["payment"]),
    )  # fmt: skip
    if "operation" in facts:
        event.operation.CopyFrom(_step_operation(row.subject, facts["operation"]))
    if "settlement" in facts:
        settlement = facts["settlement"]
        event.settlement_terms.fee_schedule_version = settlement["fee_schedule_version"]
        event.settlement_terms.expected_fee_minor = settlement["expected_fee_minor"]
        event.settlement_terms.due_time.FromJsonString(settlement["due_time"])
    if "dispute" in facts:
        event.dispute_change.CopyFrom(_dispute_change(event.payment, facts["dispute"]))
    return event


def _dispute_change(
    payment: payment_pb2.Payment, change: dict[str, Any]
) -> payment_admin_service_pb2.DisputeChange:
    """What ledgers have to add; its dispute is that of the step's payment."""
    dispute = next(one for one in payment.disputes if one.name == change["name"])
    asset = dispute.amount.asset_code
    withdrawn, returned, lost = (
        money_pb2.Money(minor=change[name], asset_code=asset)
        for name in ("withdrawn", "returned", "lost")
    )
    return payment_admin_service_pb2.DisputeChange(
        dispute=dispute, withdrawn_change=withdrawn, returned_change=returned, lost_change=lost,
        event_time=_stored_time(change["at"]),
    )  # fmt: skip


def _step_dispute(payment: dict[str, Any], facts: dict[str, Any]) -> dispute_pb2.Dispute:
    told = dict(facts)
    problem = told.pop("problem")
    dispute = Dispute.from_facts(told)
    return dispute_to_proto(
        dispute_name(payment["name"], dispute), dispute, Problem(problem) if problem else None,
        merchant=payment["merchant"], operation=f"{payment['name']}/operations/{dispute.target}",
    )  # fmt: skip


def _step_payment(facts: dict[str, Any]) -> payment_pb2.Payment:
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
        cancel_requested=facts["cancel_requested"], origin_payment=facts["origin_payment"],
        disputes=[_step_dispute(facts, told) for told in facts["disputes"]],
    )  # fmt: skip
    if facts["failure"] is not None:
        answer.failure.CopyFrom(payment_pb2.Failure(**facts["failure"]))
    return answer


def _step_operation(payment: str, facts: dict[str, Any]) -> payment_pb2.Operation:
    """The operation of a sealed step, from the step's own facts."""
    return payment_pb2.Operation(
        name=f"{payment}/operations/{facts['number']}", kind=KINDS[OperationKind(facts["kind"])],
        state=OPERATION_STATES[OperationState(facts["state"])], rail=facts["rail"],
        processor_account=facts["account"], processor_reference=facts["processor_reference"],
        amount=money_pb2.Money(minor=facts["minor"], asset_code=facts["asset"]),
        processor_code=facts["processor_code"], decline_meaning=facts["decline_meaning"],
        create_time=_stored_time(facts["create_time"]),
        update_time=_stored_time(facts["update_time"]),
        target=f"{payment}/operations/{facts['target']}" if facts["target"] else "",
        final=facts["final"],
    )  # fmt: skip


def _stored_time(text: str) -> Timestamp:
    return to_time(datetime.fromisoformat(text))
