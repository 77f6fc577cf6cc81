"""What rails tell after their answers: late outcomes, what was taken back, news of disputes."""

from datetime import UTC

from cashier.gateway.v1 import gateway_service_pb2, outcome_pb2
from cashier_router.clients.rail_codec import to_outcome, told_amount, told_settlement
from cashier_router.domain.afterwards import Later, News
from cashier_router.domain.dispute import DisputeNews, Told
from cashier_router.domain.lifecycle import OperationEvent
from cashier_router.domain.progress import Outcome
from cashier_router.domain.standing import DisputeState, Stage
from cashier_router.flows.ports import LateOutcome

_O = outcome_pb2.Outcome
_STAGES: dict[int, Stage] = {
    outcome_pb2.DisputeNotice.Stage.Value(f"STAGE_{stage.name}"): stage for stage in Stage
}
_DISPUTE_STATES: dict[int, DisputeState] = {
    outcome_pb2.DisputeNotice.State.Value(f"STATE_{state.name}"): state for state in DisputeState
}


def late_outcome(rail: str, shard: int, event: gateway_service_pb2.OutcomeEvent) -> LateOutcome:
    """One event of a rail's stream."""
    payment, _, number = event.outcome.operation.rpartition("/operations/")
    return LateOutcome(
        rail=rail, shard=shard, position=event.position, merchant=event.merchant, payment=payment,
        later=_later(int(number) if number.isdigit() else 0, event.outcome),
        source=event.source.lower(), traceparent=event.traceparent,
    )  # fmt: skip


def _later(number: int, told: outcome_pb2.Outcome) -> Later:
    outcome = to_outcome(told)
    if outcome is not None:
        return Later(News.OUTCOME, number, outcome)
    evidence = Outcome(
        OperationEvent.LOSE_TRACK, account=told.processor_account, detail=told.detail,
        processor_reference=told.processor_reference, amount=told_amount(told),
        processor_code=told.decline.code, settlement=told_settlement(told),
    )  # fmt: skip
    if told.state == _O.STATE_REVERSED:
        reference = told.reversal_reference or told.processor_reference
        return Later(News.TAKEN_BACK, number, evidence, reversal_reference=reference)
    news = _dispute(number, told) if told.state == _O.STATE_DISPUTED else None
    if news is not None:
        return Later(News.DISPUTE, number, evidence, dispute=news)
    return Later(News.UNKNOWN, number, evidence)


def _dispute(number: int, told: outcome_pb2.Outcome) -> DisputeNews | None:
    """What was told of a dispute; None for a stage or a state that this version does not know."""
    notice, heard_at = told.dispute, told.observe_time.ToDatetime(tzinfo=UTC)
    stage, state = _STAGES.get(notice.stage), _DISPUTE_STATES.get(notice.state)
    if state is None or (stage is None and not notice.state_only):
        return None
    at = notice.event_time.ToDatetime(tzinfo=UTC) if notice.HasField("event_time") else heard_at
    due = notice.evidence_due_time
    return DisputeNews(
        processor_reference=notice.processor_reference, account=told.processor_account,
        target=number,
        told=Told(
            at=at, heard_at=heard_at, stage=None if notice.state_only else stage, state=state,
            minor=max(notice.amount.minor, 0), asset=notice.amount.asset_code,
            withdrawn=notice.funds_withdrawn, moves=notice.movement_count,
            reason_code=notice.reason_code, arn=notice.arn,
            due=due.ToDatetime(tzinfo=UTC) if notice.HasField("evidence_due_time") else None,
            liability_shifted=notice.liability_shifted,
            fee_minor=notice.fee.minor if notice.HasField("fee") else None, detail=told.detail,
        ),
    )  # fmt: skip
