"""With a safety switched off the checker finds the damage: a checker that cannot fail is none."""

from dataclasses import replace

import pytest

from cashier_gateway.domain.call import Call
from cashier_gateway.domain.lifecycle import CERTAIN, Event, State
from cashier_gateway.flows.look_up import LookUp
from cashier_router.domain import amounts, progress
from cashier_router.domain.lifecycle import OperationState
from tests.simulation.checker import check
from tests.simulation.gateway_book import GatewayBook
from tests.simulation.points import Point, Story, findings, hurried, lengths
from tests.simulation.processor import Door
from tests.simulation.world import World

# The first authorization reaches the gateway when the router has given it up and went elsewhere.
HELD_S = 50.0
STOPPED_S = 45.0
HOUR_S = 3_600.0


def rules(seed: str, payments: int = 250) -> set[str]:
    """Rules that a world breaks; it need not come to rest."""
    world = World(seed)
    try:
        return {finding.rule for finding in check(world.run(payments, payments / 15).drain(HOUR_S))}
    finally:
        world.close()


def held(door: Door) -> set[str]:
    """Rules that are broken when one authorization is held on its way to the gateway."""
    doors = {"alpha": door, "bravo": Door.KEYED}
    story = Story("held", hurried, doors=doors, replicas=2, hold_s=HELD_S)
    return {finding.rule for finding in findings(story)}


def stopped(door: Door) -> set[str]:
    """Rules that are broken when a gateway stops before some step, and wakes up much later."""
    doors = {"alpha": door, "bravo": Door.KEYED}
    story = Story("x0", hurried, doors=doors, replicas=2)
    points = [
        Point(process, step, STOPPED_S)
        for process, steps in lengths(story).items()
        if process in ("gateway-1", "gateway-2")
        for step in range(1, steps + 1)
    ]
    return {finding.rule for point in points for finding in findings(story, point)}


@pytest.fixture
def _without_gate(monkeypatch):
    """A second rail opens while the first one is in doubt."""
    gate = progress.OPENS_NEXT_RAIL | {OperationState.IN_DOUBT}
    monkeypatch.setattr(progress, "OPENS_NEXT_RAIL", gate)


@pytest.fixture
def _without_tombstone(monkeypatch):
    """A look-up closes the processor's door, and leaves no fence in the gateway."""

    async def ask_alone(self, question, origin):
        found = await self.book.find(merchant=question.merchant, operation=question.operation)
        if not question.close_door or (found is not None and found.state in CERTAIN):
            return await asked(self, question, origin)
        call = found or Call.tombstone(
            merchant=question.merchant, operation=question.operation, account=question.account,
            amount=question.amount, traceparent="", at=self.clock.now(),
        )  # fmt: skip
        answer = await self.terminals[call.account].processor.close_door(call)
        if answer.event is Event.CLOSE:
            return replace(call, state=State.NOT_FOUND)
        return call if found is None else await self._apply(
            call, answer, self.terminals[call.account], origin
        )  # fmt: skip

    asked = LookUp.__call__
    monkeypatch.setattr(LookUp, "__call__", ask_alone)


@pytest.fixture
def _without_lease(monkeypatch):
    """Whoever held a call once goes on writing in its row."""
    monkeypatch.setattr(GatewayBook, "_lost", lambda self, call: None)


@pytest.fixture
def _without_reservation(monkeypatch):
    """What is under way holds no amount."""
    monkeypatch.setattr(amounts, "HOLDING", frozenset())


@pytest.mark.usefixtures("_without_gate")
def test_without_the_gate_customers_are_charged_twice():
    assert "CHARGED_TWICE" in rules("gate")


@pytest.mark.usefixtures("_without_gate", "_without_tombstone")
def test_without_gate_and_tombstone_customers_are_charged_twice():
    assert "CHARGED_TWICE" in rules("gate")


@pytest.mark.parametrize("door", Door)
def test_a_request_that_comes_late_charges_nobody_twice(door):
    assert set() == held(door)


@pytest.mark.some(2)
@pytest.mark.usefixtures("_without_tombstone")
@pytest.mark.parametrize("door", [Door.REPEAT, Door.INTENT, Door.ORDER])
def test_without_the_tombstone_a_request_that_comes_late_charges_twice(door):
    assert "CHARGED_TWICE" in held(door)


@pytest.mark.usefixtures("_without_tombstone")
def test_a_closed_key_holds_even_without_the_tombstone():
    assert set() == held(Door.KEYED)


@pytest.mark.some(2)
@pytest.mark.parametrize("door", Door)
def test_an_owner_that_wakes_up_late_charges_nobody_twice(door):
    assert set() == stopped(door)


@pytest.mark.long
@pytest.mark.usefixtures("_without_lease")
def test_without_the_lease_an_owner_that_wakes_up_late_charges_twice():
    assert "CHARGED_TWICE" in stopped(Door.INTENT)


@pytest.mark.long
@pytest.mark.usefixtures("_without_reservation")
def test_without_reservations_more_is_given_back_than_was_taken():
    assert {"REFUNDED_TOO_MUCH", "CAPTURED_TOO_MUCH"} <= rules("reservation")
