"""One story, and a crash or a stop of one process before one of its steps: every await in turn."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cashier_router.domain.commands import (
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    RefundPayment,
)
from cashier_router.domain.payment import CaptureMethod, Direction
from tests.simulation.checker import Finding, check
from tests.simulation.faults import CALM, Rates
from tests.simulation.merchants import Merchants
from tests.simulation.processor import Door
from tests.simulation.world import DOORS, World

Telling = Callable[[Merchants], Coroutine[Any, Any, Any]]
# Routers hear of the accounts first: their steps until then are no part of a story.
HEARING_S = 1.0


@dataclass(frozen=True)
class Story:
    """What a merchant does, and what becomes of its requests at the first account, in order."""

    name: str
    tell: Telling
    script: tuple[str, ...] = ()
    doors: Mapping[str, Door] = field(default_factory=lambda: DOORS)
    rates: Rates = CALM
    replicas: int = 1
    hold_s: float | None = None  # the first authorization is on its way to the gateway for so long


@dataclass(frozen=True)
class Point:
    """A process, its step, and how long it stops there; None kills it."""

    process: str
    step: int
    stop_s: float | None = None


async def hurried(at: Merchants) -> None:
    """A caller who waits two seconds: there is time for a second rail within the minute."""
    at.timeouts_s = (2.0,)
    await at.create(at.command())


async def _sale(at: Merchants) -> None:
    payment = await at.create(at.command())
    if payment is not None:
        refund = RefundPayment(
            merchant=payment.merchant, key=at.key("refund"), payment=payment.name, amount=None,
            reason="",
        )  # fmt: skip
        await at.follow(refund)


async def _order(at: Merchants) -> None:
    payment = await at.create(at.command(capture_method=CaptureMethod.MANUAL))
    if payment is None:
        return
    part = replace(payment.amount, minor=payment.amount.minor // 2)
    capture = CapturePayment(
        merchant=payment.merchant, key=at.key("capture"), payment=payment.name, amount=part,
        final=False,
    )  # fmt: skip
    cancel = CancelPayment(
        merchant=payment.merchant, key=at.key("cancel"), payment=payment.name, reason=""
    )
    await at.follow(capture)
    await at.follow(cancel)


async def _payout(at: Merchants) -> None:
    await at.create(at.command(direction=Direction.PAYOUT))


async def _action(at: Merchants) -> None:
    payment = await at.create(at.command())
    if payment is not None:
        confirm = ConfirmPayment(
            merchant=payment.merchant, key=at.key("confirm"), payment=payment.name
        )
        await at.follow(confirm)


STORIES = (
    Story("sale", _sale),
    Story("order", _order),
    Story("payout", _payout),
    Story("failover", _sale, script=("soft",)),
    Story("action", _action, script=("ask",)),
    Story("pending", _sale, script=("late_yes", "late_yes")),
    Story("intent", _sale, doors={"alpha": Door.INTENT, "bravo": Door.ORDER}),
)


def lengths(story: Story) -> dict[str, int]:
    """How many steps each process takes until the story is told, when nothing happens to it."""
    world = _world(story)
    try:
        world.tell(_told(story, world))
        return {name: process.steps for name, process in world.processes.items()}
    finally:
        world.close()


def findings(story: Story, *points: Point) -> list[Finding]:
    """What is wrong when all has come to rest after the story with these troubles in it."""
    world = _world(story)
    for point in points:
        process = world.processes[point.process]
        if point.stop_s is None:
            process.kill_at = point.step
        else:
            process.stop_at(point.step, point.stop_s)
    try:
        return check(world.tell(_told(story, world)).drain(), people=False)
    finally:
        world.close()


def _world(story: Story) -> World:
    world = World(f"points/{story.name}", story.rates, story.doors, story.replicas)
    world.processors["alpha"].script.extend(story.script)
    if story.hold_s is not None:
        world.gateway.to_hold_s["Authorize"] = story.hold_s
    return world


async def _told(story: Story, world: World) -> None:
    await world.pause(HEARING_S)
    await story.tell(world.merchants)
