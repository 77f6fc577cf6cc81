"""Whatever order and however often news of disputes come: what they are follows from the set."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_common.money import Money
from cashier_router.domain.afterwards import hear
from cashier_router.domain.amounts import withdrawn
from cashier_router.domain.attention import Attention, attention
from cashier_router.domain.commands import RefundPayment
from cashier_router.domain.dispute import Effect, effects_of
from cashier_router.domain.follow_up import plan
from cashier_router.domain.lifecycle import OperationEvent
from cashier_router.domain.progress import Outcome, answer
from cashier_router.domain.standing import DISPUTE, DisputeEvent, DisputeState, Stage, Standing
from cashier_router.storage.rows import operation_row, payment_row, to_payment
from tests.support.router_values import AT, a_payment, disputed

WORD = st.builds(
    disputed,
    st.integers(0, 12_000), reference=st.sampled_from(["dp_1", "dp_1", "dp_2"]),
    after_s=st.integers(0, 6), stage=st.sampled_from([*Stage, None]),
    state=st.sampled_from(DisputeState), withdrawn=st.booleans(), moves=st.integers(0, 3),
    asset=st.sampled_from(["USD", "USD", "USD", "EUR"]),
)  # fmt: skip


def captured():
    payment = a_payment()
    return answer(payment, 1, Outcome(OperationEvent.SUCCEED), at=AT, may_go_on=False)[0]


def after(words, payment):
    for word in words:
        payment = hear(payment, word, AT).payment
    return payment


def seen(payment):
    """All that is known of disputes but the order in which they were first heard of."""
    named = sorted(payment.disputes, key=lambda dispute: dispute.processor_reference)
    return named, payment.amounts, attention(payment)


@settings(max_examples=25)
@given(
    st.lists(WORD, min_size=1, max_size=8).flatmap(
        lambda words: st.tuples(st.just(words), st.permutations(words), st.permutations(words))
    )
)
def test_the_same_news_in_any_order_and_doubled_are_the_same_disputes(told):
    words, shuffled, again = told

    expected = after(words, captured())

    assert seen(expected) == seen(after([*shuffled, *again], captured()))


@settings(max_examples=20)
@given(st.lists(WORD, min_size=1, max_size=8))
def test_the_sums_that_ledgers_are_told_are_what_is_away(words):
    payment, told = captured(), {}
    for word in words:
        heard = hear(payment, word, AT)
        payment, change = heard.payment, heard.step.dispute
        if change is not None:
            sums = told.setdefault(change.name, [0, 0, 0])
            for place, part in enumerate((change.withdrawn, change.returned, change.lost)):
                sums[place] += part

    for dispute in payment.disputes:
        taken, back, lost = told[payment.dispute_name(dispute)]
        assert (dispute.away, dispute.lost) == (taken - back, lost)
        assert min(taken, back) >= 0


@settings(max_examples=20)
@given(st.lists(st.one_of(WORD, st.integers(1, 6_000)), min_size=1, max_size=10))
def test_refunds_and_disputes_never_take_more_than_was_captured(steps):
    payment = captured()
    for step in steps:
        if isinstance(step, int):
            payment = refunded(payment, min(step, payment.amounts.refundable))
        else:
            payment = hear(payment, step, AT).payment
        assert payment.amounts.refundable >= 0
        excess = withdrawn(payment) - payment.amounts.disputed
        assert (excess > 0) is (Attention.DISPUTE_EXCEEDS in attention(payment))
        assert payment == stored(payment)


@settings(max_examples=20)
@given(st.lists(WORD, min_size=1, max_size=8))
def test_every_move_of_a_dispute_is_one_of_its_table(words):
    words = [
        replace(word, dispute=replace(word.dispute, processor_reference="dp")) for word in words
    ]
    reachable = {Standing.NONE}
    for _ in range(len(words) * 2):
        reachable |= {
            DISPUTE.next(s, e) for s in reachable for e in DisputeEvent if DISPUTE.accepts(s, e)
        }
    (dispute,) = after(words, captured()).disputes

    assert dispute.standing in reachable
    assert len(dispute.told) == len(effects_of(dispute)) == len({w.dispute.told for w in words})
    assert Effect.MOVED is effects_of(dispute)[0]


def refunded(payment, minor):
    if minor <= 0:
        return payment
    command = RefundPayment(
        merchant=payment.merchant, key="k" * 16, payment=payment.name, reason="",
        amount=Money(minor, "USD"),
    )  # fmt: skip
    promised, _, number = plan(payment, command, AT + timedelta(seconds=1))
    return answer(promised, number, Outcome(OperationEvent.SUCCEED), at=AT, may_go_on=False)[0]


def stored(payment):
    rows = [{**operation_row(payment, o), "asks": 0} for o in payment.operations]
    return to_payment(payment_row(payment), rows)
