"""What a rail tells of a dispute, from the wire to the value."""

from datetime import UTC, datetime

import pytest

from cashier.gateway.v1 import gateway_service_pb2, outcome_pb2
from cashier_router.clients.late_codec import late_outcome
from cashier_router.domain.afterwards import News
from cashier_router.domain.standing import DisputeState, Stage

HAPPENED, HEARD = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
Notice = outcome_pb2.DisputeNotice


def an_event(**changes):
    event = gateway_service_pb2.OutcomeEvent(position=7, merchant="shop", source="FILE")
    event.outcome.operation = "payments/pay_a/operations/2"
    event.outcome.state = outcome_pb2.Outcome.STATE_DISPUTED
    event.outcome.processor_account = "acct"
    event.outcome.observe_time.FromDatetime(HEARD)
    facts = {
        "processor_reference": "dp_1", "stage": Notice.STAGE_CHARGEBACK,
        "state": Notice.STATE_LOST, "funds_withdrawn": True, "movement_count": 3,
    }  # fmt: skip
    event.outcome.dispute.CopyFrom(Notice(**facts | changes))
    event.outcome.dispute.event_time.FromDatetime(HAPPENED)
    event.outcome.dispute.amount.minor = 500
    event.outcome.dispute.amount.asset_code = "EUR"
    return event


def test_news_of_a_dispute_keep_the_processors_time_and_ours():
    late = late_outcome("gateway", 0, an_event())

    news = late.later.dispute
    told = news.told
    assert (News.DISPUTE, "dp_1", "acct", 2) == (
        late.later.news, news.processor_reference, news.account, news.target,
    )  # fmt: skip
    assert (HAPPENED, HEARD, 3, 500, "EUR", True) == (
        told.at, told.heard_at, told.moves, told.minor, told.asset, told.withdrawn,
    )  # fmt: skip
    assert (Stage.CHARGEBACK, DisputeState.LOST, None) == (told.stage, told.state, told.fee_minor)


def test_where_only_the_state_is_told_there_is_no_stage():
    event = an_event(stage=Notice.STAGE_UNSPECIFIED, state_only=True)

    assert late_outcome("gateway", 0, event).later.dispute.told.stage is None


@pytest.mark.parametrize("unknown", [{"stage": 99}, {"state": 99}, {"stage": 0}])
def test_what_this_version_does_not_know_is_evidence_and_no_guess(unknown):
    assert News.UNKNOWN is late_outcome("gateway", 0, an_event(**unknown)).later.news
