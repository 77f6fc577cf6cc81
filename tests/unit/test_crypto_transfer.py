"""The rules of a deposit: what the chain makes of it, whatever order it comes in."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cashier_common.errors import TransitionRefused
from cashier_common.money import Money
from cashier_crypto.domain.account import ProcessorAccount, Token
from cashier_crypto.domain.lifecycle import TRANSFER, Event, State
from cashier_crypto.domain.outcome import Outcome, Verdict
from cashier_crypto.domain.sighting import Sighting, Use
from cashier_crypto.domain.transfer import (
    Command,
    Transfer,
    contradicted,
    credited,
    outcome_of,
    use_of,
)
from cashier_crypto.domain.xpub import DEVELOPMENT

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
USDC = "0x" + "aa" * 20
ADDRESS = "0x" + "bb" * 20
CONFIRMATIONS = 3
ACCOUNT = ProcessorAccount.model_validate(
    {
        "account_id": "evm-usdc", "chain": "eip155:1", "start_block": 1,
        "required_confirmations": CONFIRMATIONS, "deposit_lifetime_s": 600,
        "deposit_xpub": DEVELOPMENT, "fee_version": "v1", "settlement_lag_days": 1,
        "tokens": [{"asset": "USDC", "contract": USDC, "decimals": 6}],
    }
)  # fmt: skip
COMMAND = Command(
    "acme", "payments/pay_a/operations/1", "evm-usdc", Money(1_000, "USDC"), "STABLECOIN", "", True
)


def awaited() -> Transfer:
    return Transfer.awaited(COMMAND, ACCOUNT, address=ADDRESS, traceparent="", at=NOW)


def a_sighting(units: int = 1_000, **changes) -> Sighting:
    seen = Sighting("0x" + "01" * 32, 0, USDC, "0x" + "cc" * 20, ADDRESS, units, 100, "0xblock")
    return replace(seen, **changes)


def seen(units: int = 1_000, state: State = State.SEEN, **changes) -> Transfer:
    return replace(awaited(), state=state, sighting=a_sighting(units, **changes))


@pytest.mark.parametrize(
    ("state", "height", "event"),
    [
        (State.SEEN, 100, None),
        (State.SEEN, 101, Event.CONFIRM),
        (State.CONFIRMING, 102, None),
        (State.CONFIRMING, 103, Event.FINALIZE),
        (State.FINAL, 103, Event.CREDIT),
        (State.CREDITED, 500, None),
        (State.EXPIRED, 500, None),
    ],
)
def test_depth_alone_moves_a_deposit_that_stands_in_the_chain(state, height, event):
    assert event is seen(state=state).due_event(height)


@pytest.mark.parametrize("state", [State.SEEN, State.CONFIRMING])
def test_what_left_the_chain_is_orphaned_however_deep_it_was(state):
    assert Event.ORPHAN is seen(state=state, in_chain=False).due_event(500)


def test_a_final_deposit_that_left_the_chain_before_the_credit_waits():
    assert seen(state=State.FINAL, in_chain=False).due_event(500) is None


@pytest.mark.parametrize("changes", [{"address": "0x" + "dd" * 20}, {"contract": "0x" + "ee" * 20}])
def test_a_log_that_pays_somebody_else_after_it_was_mined_again_does_not_count(changes):
    assert Event.ORPHAN is seen(state=State.CONFIRMING, **changes).due_event(500)


@pytest.mark.parametrize("units", [0, 999, 1_001, 2**256 - 1])
def test_another_amount_is_contradicted_and_never_credited(units):
    transfer = seen(units, State.FINAL)

    assert Event.CONTRADICT is transfer.due_event(500)
    assert Verdict.CONFLICTED is contradicted(transfer, NOW).verdict


def test_an_amount_beyond_int64_is_told_in_words_only():
    outcome = contradicted(seen(2**256 - 1, State.FINAL), NOW)

    assert outcome.amount is None
    assert str(2**256 - 1) in outcome.detail


def test_a_unit_finer_than_the_asset_is_not_rounded_away():
    eighteen = Token(asset="USDT", contract=USDC, decimals=18)
    transfer = replace(
        awaited(), token=eighteen, amount=Money(5, "USDT"), sighting=a_sighting(5 * 10**12 + 1)
    )

    assert not transfer.is_exact
    assert Money(5, "USDT") == transfer.observed
    assert replace(transfer, sighting=a_sighting(5 * 10**12)).is_exact


def test_a_token_coarser_than_its_asset_is_refused():
    with pytest.raises(ValueError, match="smaller"):
        Token(asset="USDC", contract=USDC, decimals=2)


@pytest.mark.parametrize(
    ("transfer", "sighting", "use"),
    [
        (awaited(), a_sighting(), Use.BOUND),
        (awaited(), a_sighting(contract="0x" + "ff" * 20), Use.WRONG_TOKEN),
        (replace(awaited(), state=State.EXPIRED), a_sighting(), Use.LATE),
        (seen(), a_sighting(tx_hash="0x02"), Use.SURPLUS),
        (seen(state=State.ORPHANED, in_chain=False), a_sighting(tx_hash="0x02"), Use.BOUND),
        (seen(state=State.ORPHANED), a_sighting(tx_hash="0x02"), Use.SURPLUS),
    ],
)
def test_a_sighting_is_what_the_deposit_can_use_it_for(transfer, sighting, use):
    assert use is use_of(sighting, transfer)


@given(st.lists(st.sampled_from(Event)))
def test_nothing_is_credited_that_was_not_final(events):
    state, passed = TRANSFER.initial, []
    for event in events:
        try:
            state = TRANSFER.next(state, event)
        except TransitionRefused:
            continue
        passed.append(state)

    assert State.CREDITED not in passed or State.FINAL in passed[: passed.index(State.CREDITED)]


@given(st.lists(st.sampled_from(Event)))
def test_a_final_deposit_is_never_orphaned_and_a_finished_one_stays_finished(events):
    state = TRANSFER.initial
    for event in events:
        before = state
        if TRANSFER.accepts(state, event):
            state = TRANSFER.next(state, event)
        assert before is not State.FINAL or state in {State.FINAL, State.CREDITED}
        assert before not in {State.CREDITED, State.EXPIRED} or state is before


def test_a_credited_deposit_settles_without_a_fee_a_day_later():
    outcome = credited(seen(state=State.FINAL), ACCOUNT, NOW)

    assert outcome.settlement is not None
    assert (Money(0, "USDC"), "v1", 1) == (
        outcome.settlement.expected_fee,
        outcome.settlement.fee_schedule_version,
        (outcome.settlement.due_at - NOW).days,
    )


@pytest.mark.parametrize(
    ("transfer", "verdict"),
    [
        (awaited(), Verdict.ACTION_REQUIRED),
        (seen(), Verdict.PENDING),
        (seen(state=State.ORPHANED, in_chain=False), Verdict.PENDING),
        (seen(state=State.FINAL), Verdict.PENDING),
    ],
)
def test_an_outcome_is_no_more_than_the_chain_shows(transfer, verdict):
    assert verdict is outcome_of(transfer, NOW).verdict


def test_an_outcome_survives_the_record():
    outcome = credited(seen(state=State.FINAL), ACCOUNT, NOW)

    assert outcome == Outcome.from_json(outcome.to_json())


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": Money(1_001, "USDC")}, {"amount": Money(1_000, "USDT")}, {"merchant": "other"},
        {"chain": "eip155:1"}, {"account": "evm-other"},
        {"operation": "payments/pay_a/operations/2"},
    ],
)  # fmt: skip
def test_every_field_that_means_something_is_in_the_fingerprint(changes):
    assert COMMAND.fingerprint != replace(COMMAND, **changes).fingerprint


def test_how_long_an_answer_is_of_use_is_not_in_the_fingerprint():
    assert COMMAND.fingerprint == replace(COMMAND, expire_at=NOW).fingerprint
