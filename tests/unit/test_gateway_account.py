"""A processor account: what it takes, what it costs, and which file is refused at the start."""

from datetime import UTC, datetime

import pytest

from cashier_common.errors import AssetUnknown
from cashier_common.money import Money
from cashier_gateway.domain.account import AccountState, FeeSchedule, Limit, ProcessorAccount
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.errors import AccountNotEligible

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def an_account(**changes) -> ProcessorAccount:
    facts = {
        "account_id": "one",
        "processor": "sandbox",
        "base_url": "http://127.0.0.1:1",
        "credential": "env:X",
        "honours_idempotency_keys": True,
        "assets": ["EUR", "JPY"],
        "fees": FeeSchedule(version="v1", percent_bps=290, fixed={"EUR": 25}),
        "settlement_lag_days": 2,
    }
    return ProcessorAccount.model_validate(facts | changes)


@pytest.mark.parametrize(
    ("minor", "asset", "fee"),
    [(10_000, "EUR", 315), (1, "EUR", 1), (10, "EUR", 10), (1_000, "JPY", 29), (50, "JPY", 1)],
)
def test_a_fee_is_whole_units_and_never_above_the_amount(minor, asset, fee):
    assert Money(fee, asset) == an_account().fees.fee(Money(minor, asset))


@pytest.mark.parametrize(
    "changes",
    [
        {"state": AccountState.DRAINING},
        {"state": AccountState.DISABLED},
        {"merchants": ["somebody-else"]},
        {"methods": ["PIX"]},
        {"assets": ["JPY"], "fees": FeeSchedule(version="v", percent_bps=0)},
        {"limits": {"EUR": Limit(min=2_000)}},
        {"limits": {"EUR": Limit(max=1_000)}},
    ],
    ids=str,
)
def test_an_account_takes_only_what_it_was_contracted_for(changes):
    account = an_account(**changes)

    with pytest.raises(AccountNotEligible):
        account.check(merchant="acme", method="CARD", amount=Money(1250, "EUR"))


def test_an_account_takes_what_it_was_contracted_for():
    account = an_account(limits={"EUR": Limit(min=1250, max=1250)}, merchants=["acme"])

    account.check(merchant="acme", method="CARD", amount=Money(1250, "EUR"))
    with pytest.raises(AssetUnknown):
        account.check(merchant="acme", method="CARD", amount=Money(1, "XXQ"))


@pytest.mark.parametrize(
    "changes",
    [
        {"assets": ["EUR", "XXQ"]},
        {"limits": {"USD": {"min": 1}}},
        {"timeout_s": 1_000},
        {"account_id": "No Spaces"},
        {"fees": {"version": "v", "percent_bps": 2.5}},
        {"surprise": 1},
    ],
    ids=str,
)
def test_an_account_that_makes_no_sense_is_refused_at_the_start(changes):
    with pytest.raises(ValueError, match="validation error"):
        an_account(**changes)


@pytest.mark.parametrize(
    ("kind", "fee"),
    [(Kind.AUTHORIZE, 61), (Kind.CAPTURE, 61), (Kind.REFUND, 0), (Kind.PAYOUT, 40)],
)
def test_each_kind_of_operation_costs_what_the_schedule_says(kind, fee):
    fees = FeeSchedule(version="v1", percent_bps=290, fixed={"EUR": 25}, payout_fixed={"EUR": 40})

    settlement = an_account(fees=fees).settlement(kind, Money(1250, "EUR"), AT)

    assert Money(fee, "EUR") == settlement.expected_fee
    assert 2 == (settlement.due_at - AT).days


@pytest.mark.parametrize(("state", "open_"), [("DRAINING", True), ("DISABLED", False)])
def test_only_a_disabled_account_does_not_finish_what_it_has(state, open_):
    account = an_account(state=state)
    if open_:
        account.check_open()
        return

    with pytest.raises(AccountNotEligible):
        account.check_open()
