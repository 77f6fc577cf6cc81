"""Disputes to their resources, and questions about them to filters."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from cashier.common.v1 import money_pb2
from cashier.payments.v1 import dispute_pb2, payment_service_pb2
from cashier_common.errors import FieldInvalid
from cashier_router.domain.amounts import Problem, problem_of
from cashier_router.domain.dispute import Dispute, Effect, Told, effects_of
from cashier_router.domain.payment import Payment
from cashier_router.domain.standing import DisputeState, Stage
from cashier_router.flows.ports import DisputeFilter
from cashier_router.rpc.times import from_time, to_time

_D = dispute_pb2.Dispute
STAGES = {stage: _D.Stage.Value(f"STAGE_{stage.name}") for stage in Stage}
STATES = {state: _D.State.Value(f"STATE_{state.name}") for state in DisputeState}
PROBLEMS = {problem: _D.Problem.Value(f"PROBLEM_{problem.name}") for problem in Problem}
Word = TypeVar("Word", bound=StrEnum)
_NAME = re.compile(r"(payments/pay_[a-z0-9]{1,64})/disputes/dis_[a-z0-9]{1,64}")


def payment_of(name: str) -> str:
    """The payment that a dispute's name belongs to; FieldInvalid for any other name."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise FieldInvalid(field="name", value=name[:128], expected="payments/…/disputes/dis_…")
    return found[1]


def to_filter(request: payment_service_pb2.ListDisputesRequest) -> DisputeFilter:
    """Which disputes are asked for."""
    return DisputeFilter(
        merchants=(request.merchant,) if request.merchant else None,
        states=_chosen("states", request.states, STATES),
        stages=_chosen("stages", request.stages, STAGES),
        account=request.processor_account,
        due_before=from_time(request, "evidence_due_before_time"),
    )


def dispute_of(payment: Payment, dispute: Dispute, now: datetime) -> dispute_pb2.Dispute:
    """The resource of a dispute as it stands, without its news."""
    answer = dispute_to_proto(
        payment.dispute_name(dispute), dispute, problem_of(payment, dispute),
        merchant=payment.merchant, operation=payment.operation_name(dispute.target),
    )  # fmt: skip
    answer.evidence_overdue = dispute.is_overdue(now)
    return answer


def with_news(resource: dispute_pb2.Dispute, dispute: Dispute) -> dispute_pb2.Dispute:
    """The resource with everything that the processor told."""
    resource.news.extend(
        _news(told, effect) for told, effect in zip(dispute.told, effects_of(dispute), strict=True)
    )
    return resource


def dispute_to_proto(
    name: str, dispute: Dispute, problem: Problem | None, *, merchant: str, operation: str
) -> dispute_pb2.Dispute:
    """The resource of a dispute from its own facts."""

    def money(minor: int) -> money_pb2.Money:
        return money_pb2.Money(minor=minor, asset_code=dispute.asset)

    answer = _D(
        name=name, merchant=merchant, operation=operation, stage=STAGES[dispute.stage],
        state=STATES[dispute.state], amount=money(dispute.minor),
        withdrawn_amount=money(dispute.away), reason_code=dispute.reason_code,
        processor_account=dispute.account, processor_reference=dispute.processor_reference,
        arn=dispute.arn, liability_shifted=dispute.liability_shifted,
        create_time=to_time(dispute.create_time), update_time=to_time(dispute.update_time),
        problem=PROBLEMS[problem] if problem else _D.PROBLEM_UNSPECIFIED,
    )  # fmt: skip
    if dispute.due is not None:
        answer.evidence_due_time.CopyFrom(to_time(dispute.due))
    if dispute.fee_minor is not None:
        answer.fee.CopyFrom(money(dispute.fee_minor))
    return answer


def _news(told: Told, effect: Effect) -> dispute_pb2.Dispute.News:
    return _D.News(
        event_time=to_time(told.at), observe_time=to_time(told.heard_at),
        stage=STAGES[told.stage] if told.stage else _D.STAGE_UNSPECIFIED,
        state=STATES[told.state],
        amount=money_pb2.Money(minor=told.minor, asset_code=told.asset),
        funds_withdrawn=told.withdrawn, applied=effect is Effect.MOVED, detail=told.detail,
    )  # fmt: skip


def _chosen(field: str, numbers: Iterable[int], known: Mapping[Word, int]) -> tuple[str, ...]:
    names = {number: word.value for word, number in known.items()}
    for number in numbers:
        if number not in names:
            raise FieldInvalid(field=field, value=str(number), expected=f"{field} of a dispute")
    return tuple(sorted({names[number] for number in numbers}))
