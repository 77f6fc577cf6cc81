"""CapturePayment, CancelPayment and RefundPayment: promise once, send, answer the payment."""

from cashier_common.errors import DeadlineExceeded, ResourceNotFound
from cashier_router.domain.commands import FollowUp
from cashier_router.domain.follow_up import plan
from cashier_router.domain.payment import Payment
from cashier_router.flows.join import Done, once
from cashier_router.flows.ports import Actor, World
from cashier_router.flows.submit_operation import drive, lease_s


async def follow_up(command: FollowUp, actor: Actor, world: World, *, caller_ends_s: float) -> Done:
    """Write the wish down exactly once under the payment's lock, then act on it.

    Parallel wishes about one payment queue up at its row, so each sees what the ones before it
    reserved. A crash after the unit of work leaves SUBMITTING for a worker. Raises a Refusal that
    wrote nothing, or one that says what an earlier call made of the key.
    """
    promise = _promise(command, actor, world, caller_ends_s=caller_ends_s)
    promised = await once(promise, command, world, caller_ends_s=caller_ends_s)
    if isinstance(promised, Done):
        return promised
    payment, number = promised
    await world.failpoint("router.after_promise")
    if number is not None:
        payment = await drive(payment, number, actor, world, caller_ends_s=caller_ends_s)
    return Done(payment, replayed=False)


async def _promise(
    command: FollowUp, actor: Actor, world: World, *, caller_ends_s: float
) -> tuple[Payment, int | None]:
    left_s = caller_ends_s - world.clock.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded(method=command.method)
    await world.failpoint("router.before_promise")
    async with world.store.begin() as book:
        payment = await book.lock(command.merchant, command.payment)
        if payment is None:
            raise ResourceNotFound(name=command.payment)
        after, step, number = plan(payment, command, world.clock.now())
        resource = payment.operation_name(number) if number else payment.name
        book.claim(command, resource)
        book.move(payment, after, step, actor, lease_s=lease_s(left_s))
    return after, number
