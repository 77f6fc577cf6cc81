"""ReplayOperation and ResolveInDoubt: an operator decides, after the rail was asked."""

from cashier_common.errors import PeerUnavailable, ResourceNotFound
from cashier_router.domain.afterwards import Later, News, hear
from cashier_router.domain.commands import Override, ReplayOperation, ResolveInDoubt
from cashier_router.domain.lifecycle import OperationEvent, OperationState
from cashier_router.domain.overrides import RESOLUTIONS, replay, resolve, subject
from cashier_router.domain.payment import Operation, Payment
from cashier_router.domain.progress import Outcome
from cashier_router.domain.refusals import EvidenceContradicts
from cashier_router.flows.join import Done, once
from cashier_router.flows.ports import (
    Actor,
    MerchantReferenceTakenError,
    World,
)
from cashier_router.flows.refusals import MerchantReferenceInUse
from cashier_router.flows.submit_operation import RAIL_CALL_MAX_S, drive, lease_s

E, S = OperationEvent, OperationState
# What the rail may say about an operation that is to be tried again: it did nothing.
_DID_NOTHING = frozenset({E.PROVE_ABSENT, E.FAIL_UNSENT, E.DECLINE_SOFT, E.DECLINE_HARD})


async def override(command: Override, actor: Actor, world: World, *, caller_ends_s: float) -> Done:
    """Do what the operator decided, once, and record who decided it and why.

    The rail is asked first and its door is closed. Where it knows better its word is recorded as
    evidence and the override refused. Raises a Refusal that moved no money.
    """
    decision = _decide(command, actor, world, caller_ends_s=caller_ends_s)
    decided = await once(decision, command, world, caller_ends_s=caller_ends_s)
    if isinstance(decided, Done):
        return decided
    payment, number = decided
    if number is not None:
        payment = await drive(payment, number, actor, world, caller_ends_s=caller_ends_s)
    return Done(payment, replayed=False)


async def _decide(
    command: Override, actor: Actor, world: World, *, caller_ends_s: float
) -> tuple[Payment, int | None]:
    seen = await world.store.payment(command.merchant, command.payment)
    if seen is None:
        raise ResourceNotFound(name=command.payment)
    operation = subject(seen, command)
    told = await world.rails.look_up(seen, operation, close_door=True, timeout_s=RAIL_CALL_MAX_S)
    if told is None:
        raise PeerUnavailable(peer=operation.rail)
    if _contradicts(command, told):
        await _keep_evidence(seen, operation, told, actor, world)
        raise EvidenceContradicts(
            operation=seen.operation_name(operation.number), state=told.event.name
        )
    try:
        return await _written(command, actor, world, caller_ends_s=caller_ends_s)
    except MerchantReferenceTakenError:
        raise MerchantReferenceInUse(
            merchant=seen.merchant, merchant_reference=seen.merchant_reference
        ) from None


async def _written(
    command: Override, actor: Actor, world: World, *, caller_ends_s: float
) -> tuple[Payment, int | None]:
    left_s = caller_ends_s - world.clock.monotonic()
    async with world.store.begin() as book:
        payment = await book.lock(command.merchant, command.payment)
        if payment is None:
            raise ResourceNotFound(name=command.payment)
        number: int | None = None
        if isinstance(command, ReplayOperation):
            after, step, number = replay(payment, command, world.clock.now())
        elif isinstance(command, ResolveInDoubt):
            after, step = resolve(payment, command, world.clock.now())
        else:
            raise TypeError(f"no override: {command.method}")
        book.claim(command, payment.operation_name(number or command.number))
        book.move(payment, after, step, actor, lease_s=lease_s(left_s))
    return after, number


def _contradicts(command: Override, told: Outcome) -> bool:
    """Whether the rail knows something that the override would deny."""
    if isinstance(command, ResolveInDoubt):
        known = told.event in RESOLUTIONS.values() or told.event is E.DECLINE_SOFT
        return known and told.event is not RESOLUTIONS[command.resolution]
    return told.event not in _DID_NOTHING


async def _keep_evidence(
    payment: Payment, operation: Operation, told: Outcome, actor: Actor, world: World
) -> None:
    """Write down what the rail said, as if it had said so by itself."""
    async with world.store.begin() as book:
        found = await book.lock(payment.merchant, payment.name)
        if found is None:
            return
        heard = hear(found, Later(News.OUTCOME, operation.number, told), world.clock.now())
        book.move(found, heard.payment, heard.step, actor, lease_s=1)
