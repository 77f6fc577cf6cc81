"""Rows to payments and back, by hand: JSON columns are written and read here alone."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import orjson

from cashier_common.money import Money
from cashier_router.domain.amounts import problem_of
from cashier_router.domain.attention import attention
from cashier_router.domain.dispute import Dispute, due_key
from cashier_router.domain.instrument import Instrument, Method, Token, TokenScope
from cashier_router.domain.lifecycle import (
    Amounts,
    OperationKind,
    OperationState,
    PaymentState,
)
from cashier_router.domain.opening import Step
from cashier_router.domain.payment import (
    CaptureMethod,
    Direction,
    Failure,
    Operation,
    Payment,
    SettlementTerms,
    Terms,
)
from cashier_router.domain.routing import Candidate, Decision

AMOUNTS = (
    "authorized", "captured", "capture_reserved", "refunded", "refund_reserved", "disputed",
    "voided",
)  # fmt: skip
Row = Any  # an asyncpg.Record: by name, untyped by nature


def as_json(value: object) -> str | None:
    """A dataclass as JSON text; None stays None."""
    return None if value is None else orjson.dumps(value).decode()


def payment_row(payment: Payment) -> dict[str, Any]:
    """Every column of a new payment but its lease."""
    return {
        "merchant": payment.merchant,
        "name": payment.name,
        "merchant_reference": payment.merchant_reference,
        "direction": payment.direction.value,
        "asset": payment.amount.asset,
        "amount": payment.amount.minor,
        "capture_method": payment.capture_method.value,
        "terms": as_json(payment.terms),
        "first_state": payment.first_state.value,
        "origin_payment": payment.origin_payment,
        "assessment": payment.assessment,
        "decision": as_json(payment.decision),
        "traceparent": payment.traceparent,
        "create_time": payment.create_time,
        **moving_columns(payment),
    }


def moving_columns(payment: Payment) -> dict[str, Any]:
    """The columns of a payment that change over its life."""
    return {
        "state": payment.state.value,
        "failure": as_json(payment.failure),
        **{name: getattr(payment.amounts, name) for name in AMOUNTS},
        "cancel_requested": payment.cancel_requested,
        "disputes": as_json(payment.disputes) if payment.disputes else None,
        "attention": " ".join(attention(payment)) or None,
        "version": payment.version,
        "update_time": payment.update_time,
    }


def reviewed_columns(payment: Payment) -> dict[str, Any]:
    """The columns of a payment that a review changes."""
    return {"first_state": payment.first_state.value, "decision": as_json(payment.decision)}


def operation_row(payment: Payment, operation: Operation) -> dict[str, Any]:
    """Every column of a new operation but when to ask about it."""
    return {
        "merchant": payment.merchant,
        "payment": payment.name,
        "number": operation.number,
        "kind": operation.kind.value,
        "rail": operation.rail,
        "account": operation.account,
        "asset": operation.amount.asset,
        "amount": operation.amount.minor,
        "target": operation.target,
        "final": operation.final,
        "release": operation.release_minor,
        "reason": operation.reason,
        "lease_epoch": operation.lease_epoch,
        "create_time": operation.create_time,
        **moving_operation_columns(operation),
    }


def moving_operation_columns(operation: Operation) -> dict[str, Any]:
    """The columns of an operation that change over its life."""
    return {
        "state": operation.state.value,
        "processor_reference": operation.processor_reference,
        "processor_code": operation.processor_code,
        "decline_meaning": operation.decline_meaning,
        "next_action": operation.next_action,
        "settlement": as_json(operation.settlement),
        "update_time": operation.update_time,
    }


def to_payment(row: Row, operations: Sequence[Row]) -> Payment:
    """A payment from its row and its operations' rows in order of number."""
    failure = row["failure"]
    decision = row["decision"]
    return Payment(
        name=row["name"], merchant=row["merchant"], merchant_reference=row["merchant_reference"],
        direction=Direction(row["direction"]), amount=Money(row["amount"], row["asset"]),
        capture_method=CaptureMethod(row["capture_method"]), terms=_terms(row["terms"]),
        state=PaymentState(row["state"]), first_state=PaymentState(row["first_state"]),
        assessment=row["assessment"],
        decision=_decision(decision) if decision else None,
        failure=Failure(**orjson.loads(failure)) if failure else None,
        operations=tuple(_operation(operation) for operation in operations),
        amounts=Amounts(**{name: row[name] for name in AMOUNTS}), version=row["version"],
        cancel_requested=row["cancel_requested"], origin_payment=row["origin_payment"],
        disputes=_disputes(row["disputes"]),
        traceparent=row["traceparent"], create_time=row["create_time"],
        update_time=row["update_time"],
    )  # fmt: skip


def step_payload(payment: Payment, step: Step) -> dict[str, Any]:
    """The facts of a step: what ledgers and auditors need, and no personal data."""
    facts: dict[str, Any] = {"payment": _payment_facts(payment), "detail": step.detail}
    if step.operation is not None:
        operation = payment.operation(step.operation)
        facts["operation"] = {
            "number": operation.number, "kind": operation.kind, "state": operation.state,
            "rail": operation.rail, "account": operation.account,
            "asset": operation.amount.asset, "minor": operation.amount.minor,
            "processor_reference": operation.processor_reference,
            "processor_code": operation.processor_code,
            "decline_meaning": operation.decline_meaning, "target": operation.target,
            "final": operation.final, "reason": operation.reason,
            "create_time": operation.create_time, "update_time": operation.update_time,
        }  # fmt: skip
        if operation.settlement is not None:
            facts["settlement"] = operation.settlement
    if step.dispute is not None:
        facts["dispute"] = step.dispute
    if step.decided_by is not None:
        facts["decided_by"] = step.decided_by
    routed = payment.version == 1 or step.action == "REVIEW_APPROVED"
    if routed and payment.decision is not None:
        facts["plan"] = [candidate.account for candidate in payment.decision.plan]
        facts["policy_version"] = payment.decision.policy_version
    return facts


def _payment_facts(payment: Payment) -> dict[str, Any]:
    return {
        "name": payment.name, "merchant": payment.merchant,
        "merchant_reference": payment.merchant_reference, "direction": payment.direction,
        "state": payment.state, "in_doubt": payment.in_doubt, "asset": payment.amount.asset,
        "minor": payment.amount.minor, "authorized": payment.amounts.authorized,
        "captured": payment.amounts.captured, "refunded": payment.amounts.refunded,
        "disputed": payment.amounts.disputed, "voided": payment.amounts.voided,
        "method": payment.terms.instrument.method, "capture_method": payment.capture_method,
        "assessment": payment.assessment, "failure": payment.failure,
        "cancel_requested": payment.cancel_requested, "origin_payment": payment.origin_payment,
        "disputes": [_dispute_facts(payment, dispute) for dispute in payment.disputes],
        "create_time": payment.create_time, "update_time": payment.update_time,
    }  # fmt: skip


def dispute_row(payment: Payment, dispute: Dispute) -> dict[str, Any]:
    """Every column by which a dispute is found."""
    return {
        "merchant": payment.merchant,
        "name": payment.dispute_name(dispute),
        "payment": payment.name,
        "account": dispute.account,
        "stage": dispute.stage.value,
        "state": dispute.state.value,
        "evidence_due": due_key(dispute),
    }


def _dispute_facts(payment: Payment, dispute: Dispute) -> dict[str, Any]:
    """A dispute for a step: as it stands, without the news that earlier steps have told."""
    standing = {one.name: getattr(dispute, one.name) for one in fields(dispute)}
    return {**standing, "told": (), "problem": problem_of(payment, dispute)}


def _operation(row: Row) -> Operation:
    settlement = row["settlement"]
    return Operation(
        number=row["number"], kind=OperationKind(row["kind"]), state=OperationState(row["state"]),
        rail=row["rail"], account=row["account"], amount=Money(row["amount"], row["asset"]),
        create_time=row["create_time"], update_time=row["update_time"],
        processor_reference=row["processor_reference"], processor_code=row["processor_code"],
        decline_meaning=row["decline_meaning"], next_action=row["next_action"],
        settlement=to_settlement(orjson.loads(settlement)) if settlement else None,
        asks=row["asks"], target=row["target"], final=row["final"],
        release_minor=row["release"], reason=row["reason"], lease_epoch=row["lease_epoch"],
    )  # fmt: skip


def _disputes(text: str | None) -> tuple[Dispute, ...]:
    return tuple(Dispute.from_facts(facts) for facts in orjson.loads(text)) if text else ()


def to_settlement(facts: Mapping[str, Any]) -> SettlementTerms:
    """Settlement terms from their JSON."""
    return SettlementTerms(
        fee_schedule_version=facts["fee_schedule_version"],
        expected_fee_minor=facts["expected_fee_minor"],
        due_time=datetime.fromisoformat(facts["due_time"]),
    )


def _terms(text: str) -> Terms:
    facts = orjson.loads(text)
    instrument = facts.pop("instrument")
    tokens = tuple(
        Token(TokenScope(token["scope"]), token["account"], token["value"])
        for token in instrument.pop("tokens")
    )
    method = Method(instrument.pop("method"))
    tags = tuple(facts.pop("customer_tags"))
    return Terms(
        instrument=Instrument(method=method, tokens=tokens, **instrument),
        customer_tags=tags,
        **facts,
    )


def _decision(text: str) -> Decision:
    facts = orjson.loads(text)
    candidates = tuple(Candidate(**candidate) for candidate in facts["candidates"])
    return Decision(
        facts["policy_version"], candidates, facts["propensity_ppm"], facts["strict_only"]
    )
