"""A hundred parallel partial captures and refunds of one payment, while processes die."""

import asyncio
import random
from dataclasses import replace

import pytest

from cashier_router.domain.commands import CapturePayment, FollowUp, RefundPayment
from cashier_router.domain.payment import CaptureMethod
from tests.simulation.checker import check
from tests.simulation.faults import CALM, Rates
from tests.simulation.world import World

AT_ONCE = 100
AMOUNT_MINOR, PART_MINOR = 10_000, 237  # a hundred parts are more than twice the whole
UNQUIET = Rates(kill_every_s=0.5, stop_every_s=3.0, database_every_s=0, cut_every_s=0)


@pytest.mark.parametrize("rates", [CALM, UNQUIET], ids=["calm", "unquiet"])
def test_a_hundred_parallel_captures_and_refunds_stay_within_bounds(rates):
    world = World("storm", rates)
    merchants, draw = world.merchants, random.Random("storm")

    async def storm() -> None:
        await world.pause(1)
        created = None
        while created is None:
            command = merchants.command(capture_method=CaptureMethod.MANUAL)
            amount = replace(command.amount, minor=AMOUNT_MINOR)
            created = await merchants.create(replace(command, amount=amount))
        part = replace(created.amount, minor=PART_MINOR)
        about = {"merchant": created.merchant, "payment": created.name, "amount": part}
        wishes: list[FollowUp] = [
            CapturePayment(**about, key=merchants.key("capture"), final=False)
            for _ in range(AT_ONCE)
        ]
        wishes += [
            RefundPayment(**about, key=merchants.key("refund"), reason="") for _ in range(AT_ONCE)
        ]

        async def follow(wish: FollowUp) -> None:
            await world.pause(draw.uniform(0, 1) + isinstance(wish, RefundPayment))
            await merchants.follow(wish)

        await asyncio.gather(*(follow(wish) for wish in wishes))

    try:
        found = check(world.tell(storm(), troubled=True).drain())
        moved = {
            kind: sum(e.minor for e in world.ledger if e.kind == kind)
            for kind in ("capture", "refund")
        }
    finally:
        world.close()

    assert [] == found
    assert 0 < moved["refund"] <= moved["capture"] <= AMOUNT_MINOR
