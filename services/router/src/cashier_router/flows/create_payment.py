"""CreatePayment and CreatePayout: screen, route, promise once, send, answer the payment."""

from cashier_common.errors import DeadlineExceeded
from cashier_router.domain.commands import CreatePayment
from cashier_router.domain.payment import Direction, Payment
from cashier_router.domain.progress import RiskDecision, begin
from cashier_router.domain.refusals import OriginRefused
from cashier_router.flows.join import Done, once
from cashier_router.flows.ports import (
    Actor,
    MerchantReferenceTakenError,
    PaymentNameTakenError,
    World,
)
from cashier_router.flows.refusals import MerchantReferenceInUse, PaymentExists
from cashier_router.flows.route import route
from cashier_router.flows.submit_operation import drive, lease_s

# Risk answers in milliseconds; a caller with less time left than this is not kept waiting for it.
ASSESS_MAX_S = 5.0


async def create_payment(
    command: CreatePayment, personal: object, actor: Actor, world: World, *, caller_ends_s: float
) -> Done:
    """Write down the payer's wish exactly once, then act on it.

    `caller_ends_s` is when the caller stops waiting, on `world.clock.monotonic()`. Crashing before
    the first unit of work promised nothing; after it a worker goes on. Raises a Refusal that wrote
    nothing, or one that says what an earlier call made of the key.
    """
    promise = _promise(command, personal, actor, world, caller_ends_s=caller_ends_s)
    # Risk, too, refuses a key that was used with another request, before we come to claim it.
    payment = await once(promise, command, world, caller_ends_s=caller_ends_s)
    if isinstance(payment, Done):
        return payment
    await world.failpoint("router.after_promise")
    if payment.operations:
        payment = await drive(
            payment, 1, actor, world, caller_ends_s=caller_ends_s, personal=personal
        )
    return Done(payment, replayed=False)


async def _promise(
    command: CreatePayment, personal: object, actor: Actor, world: World, *, caller_ends_s: float
) -> Payment:
    """Claim the key and write everything up to SUBMITTING in one unit of work."""
    left_s = caller_ends_s - world.clock.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded(method=command.method)
    if command.origin_payment:
        await _require_origin(command, world)
    assessment = await world.risk.assess(command, personal, timeout_s=min(left_s, ASSESS_MAX_S))
    decision = None
    if assessment.decision is not RiskDecision.DECLINE:
        # Also for a review: what a person approves is routed anew, under the same strictness.
        decision = route(command, world, strict_only=assessment.strict_accounts_only)
    at = world.clock.now()
    payment, step = begin(command, assessment, decision, actor_trace=actor.traceparent, at=at)
    lease = lease_s(caller_ends_s - world.clock.monotonic())
    await world.failpoint("router.before_promise")
    try:
        async with world.store.begin() as book:
            book.claim(command, payment.name)
            book.add(payment, step, actor, lease_s=lease)
    except PaymentNameTakenError:
        raise PaymentExists(payment=payment.name) from None
    except MerchantReferenceTakenError:
        raise MerchantReferenceInUse(
            merchant=command.merchant, merchant_reference=command.merchant_reference
        ) from None
    return payment


async def _require_origin(command: CreatePayment, world: World) -> None:
    """A payout that gives a payment back goes to whoever paid, and in what was paid."""
    origin = await world.store.payment(command.merchant, command.origin_payment)
    problem = ""
    if origin is None or origin.direction is not Direction.PAYMENT:
        problem = "there is no such payment"
    elif origin.amounts.captured == 0:
        problem = "nothing was captured"
    elif origin.amount.asset != command.amount.asset:
        problem = f"it is in {origin.amount.asset}"
    elif origin.terms.customer_id != command.terms.customer_id:
        problem = "it is of another customer"
    if problem:
        raise OriginRefused(payment=command.origin_payment, problem=problem)
