"""The issuer's patience: what ends an authentication that nobody touches, and what takes over."""

import asyncio
import itertools

import pytest

from cashier_sandbox.domain.account import Account
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.fees import FeeSchedule
from cashier_sandbox.flows import authenticate
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.ledger import Ledger
from cashier_sandbox.flows.perform import Order

CARD = "tok_3ds_challenge"
SOON_MS, NEVER_MS = 15, 600_000


class Paper:
    """A journal that forgets."""

    def append(self, entry):
        """Keep nothing."""

    def clear(self):
        """Nothing was kept."""


@pytest.fixture
def desk():
    account = Account(
        name="tds", port=0, api_key="", currencies=frozenset({"EUR"}), settlement_format="",
        fees=FeeSchedule(
            percent_bps=0, fixed_minor={}, payout_fixed_minor={}, chargeback_fixed_minor={}
        ),
    )  # fmt: skip
    seconds = itertools.count()
    ledger = Ledger(Paper(), [], lambda: f"2026-01-01T00:00:{next(seconds):02d}.000000Z")
    return Desk(account=account, ledger=ledger, seed=1)


def order(key):
    ask = Ask(operation=Operation.AUTHENTICATION, token="", currency="", amount=0)
    return Order(key=key, fingerprint=key, ask=ask)


async def asked(desk):
    """The name of a challenge that has begun."""
    done = await authenticate.begin(desk, order("begin"), CARD)
    name = done.spent.news.entry.id
    await authenticate.ask(desk, order("ask"), name, CARD, {"threeDSCompInd": "U"})
    return name


async def ended(desk, name):
    async with asyncio.timeout(5):
        while True:
            if result := authenticate.found(desk, name).result:
                return result.status, result.cancel, result.reason
            await asyncio.sleep(0.001)


async def test_a_page_that_nobody_opens_ends_the_challenge(desk, monkeypatch):
    monkeypatch.setattr(authenticate, "FIRST_CREQ_MS", SOON_MS)

    name = await asked(desk)

    assert ("N", "05", "14") == await ended(desk, name)


async def test_a_cardholder_who_does_nothing_ends_the_challenge(desk, monkeypatch):
    monkeypatch.setattr(authenticate, "INACTIVITY_MS", SOON_MS)
    name = await asked(desk)

    authenticate.open_challenge(desk, name, "")

    assert ("N", "04", "14") == await ended(desk, name)


async def test_who_opens_the_page_in_time_is_waited_for_longer(desk, monkeypatch):
    monkeypatch.setattr(authenticate, "FIRST_CREQ_MS", SOON_MS)
    monkeypatch.setattr(authenticate, "INACTIVITY_MS", NEVER_MS)
    name = await asked(desk)

    # No pause since the request was answered, so its timer has had no chance yet.
    authenticate.open_challenge(desk, name, "")
    await asyncio.sleep(3 * SOON_MS / 1000)

    assert authenticate.found(desk, name).is_open
