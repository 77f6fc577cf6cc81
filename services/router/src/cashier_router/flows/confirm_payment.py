"""ConfirmPayment: fetch what the customer's action came to; it starts nothing new."""

from cashier_common.errors import ResourceNotFound
from cashier_router.domain.commands import ConfirmPayment
from cashier_router.domain.lifecycle import OperationState, PaymentState
from cashier_router.domain.opening import Step, judged
from cashier_router.domain.payment import Payment
from cashier_router.domain.refusals import PaymentStateRefused
from cashier_router.flows.join import Done, once
from cashier_router.flows.ports import Actor, Taken, World
from cashier_router.flows.resolve_operation import ask_about


async def confirm_payment(
    command: ConfirmPayment, actor: Actor, world: World, *, caller_ends_s: float
) -> Done:
    """Ask the rail about the action that the customer took; only its word counts.

    A payment that no longer waits is answered as it stands. A Refusal where it never waited.
    """
    noted = _note(command, actor, world)
    payment = await once(noted, command, world, caller_ends_s=caller_ends_s)
    if isinstance(payment, Done):
        return payment
    waiting = [o for o in payment.primary if o.state is OperationState.ACTION_REQUIRED]
    if waiting:
        payment = await ask_about(Taken(payment, waiting[-1].number), actor, world)
    return Done(payment, replayed=False)


async def _note(command: ConfirmPayment, actor: Actor, world: World) -> Payment:
    async with world.store.begin() as book:
        payment = await book.lock(command.merchant, command.payment)
        if payment is None:
            raise ResourceNotFound(name=command.payment)
        if payment.state is not PaymentState.ACTION_REQUIRED:
            raise PaymentStateRefused(
                payment=payment.name, state=payment.state.value, wish="confirmed",
                way_out="only a payment that waits for its customer is; read it again",
            )  # fmt: skip
        after = judged(payment, None, world.clock.now())
        book.claim(command, payment.name)
        book.move(payment, after, Step("CONFIRM", payment.state.name, None), actor, lease_s=0)
    return after
