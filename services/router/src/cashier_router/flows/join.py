"""What a duplicate gets: the payment as it stands when the first call's operation rests."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TypeVar

from cashier_common.errors import IdempotencyInFlight, IdempotencyKeyReused, RaceLost, Refusal
from cashier_router.domain.lifecycle import OperationState
from cashier_router.domain.payment import Payment
from cashier_router.flows.ports import Claimed, KeyTakenError, Wish, World

T = TypeVar("T")

# A duplicate looks again after this, doubling up to the longest pause.
JOIN_PAUSE_FIRST_S, JOIN_PAUSE_MAX_S = 0.02, 0.25


@dataclass(frozen=True, slots=True)
class Done:
    """The payment as it stands, and whether an earlier call asked for it."""

    payment: Payment
    replayed: bool


async def once(
    promise: Coroutine[None, None, T], wish: Wish, world: World, *, caller_ends_s: float
) -> T | Done:
    """What `promise` answers, or what an earlier call with the wish's key made of it.

    A replay answers whatever the payment's state allows by now, and while risk or the rails are
    away. A Refusal that wrote nothing is raised where the key is nobody's.
    """
    try:
        return await promise
    except (KeyTakenError, RaceLost):
        pass
    except Refusal:
        if await world.store.find_key(wish.merchant, wish.key) is None:
            raise
    return await join(wish, world, caller_ends_s=caller_ends_s)


async def join(wish: Wish, world: World, *, caller_ends_s: float) -> Done:
    """Wait until what an earlier call with this key began rests, or the caller's time is up."""
    claimed = await world.store.find_key(wish.merchant, wish.key)
    if claimed is None:
        raise IdempotencyInFlight
    name, _, number = claimed.resource.partition("/operations/")
    if claimed.fingerprint != wish.fingerprint or name != wish.payment:
        raise IdempotencyKeyReused(merchant=wish.merchant)
    pause_s = JOIN_PAUSE_FIRST_S
    while True:
        payment = await world.store.payment(wish.merchant, name)
        if payment is None:
            raise IdempotencyInFlight
        left_s = caller_ends_s - world.clock.monotonic()
        if _rests(payment, claimed, number) or left_s <= 0:
            return Done(payment, replayed=True)
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 2, JOIN_PAUSE_MAX_S)


def _rests(payment: Payment, claimed: Claimed, number: str) -> bool:
    """Whether the operation that the key opened has its answer; a whole payment, all of them."""
    if claimed.resource == payment.name:
        return payment.rests
    operation = payment.operation(int(number))
    return operation.state is not OperationState.SUBMITTING
