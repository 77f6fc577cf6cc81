"""Runs a flow that moves money out of reach of its caller's cancellation."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeAlias

from cashier_common.errors import DeadlineExceeded, IdempotencyInFlight
from cashier_common.rpc.call import current_call
from cashier_common.tasks import TaskGroup
from cashier_router.domain.payment import Payment
from cashier_router.flows.join import Done
from cashier_router.flows.ports import Actor, CommitUnknownError, Wish, World

# The caller gets its answer this long before its deadline, so that the answer still arrives.
ANSWER_RESERVE_S = 0.25

Flow: TypeAlias = Callable[[Actor, float], Coroutine[None, None, Done]]


async def run_wish(flow: Flow, wish: Wish, world: World, tasks: TaskGroup) -> Payment:
    """The payment when the flow ends, or as it stands when the caller's time is up.

    The flow goes on whatever becomes of the caller. A Refusal of the flow is raised.
    """
    call = current_call()
    ends_s = call.deadline.at - ANSWER_RESERVE_S
    task = tasks.start(flow(Actor(call.caller, call.traceparent), ends_s))
    done, _ = await asyncio.wait((task,), timeout=max(ends_s - world.clock.monotonic(), 0))
    if done:
        try:
            came = task.result()
        except CommitUnknownError:
            # Nothing, or all up to SUBMITTING: the key finds out, and a worker goes on.
            raise IdempotencyInFlight from None
        if came.replayed:
            call.mark_replayed()
        return came.payment
    payment = await world.store.payment(wish.merchant, wish.payment)
    if payment is None:
        raise DeadlineExceeded(method=call.method)
    return payment
