"""CreatePayment: screen, route, promise once, send, and answer the payment as it stands."""

import asyncio
from dataclasses import dataclass

from cashier_common.errors import (
    DeadlineExceeded,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    RaceLost,
    Refusal,
)
from cashier_router.domain.instrument import Method
from cashier_router.domain.payment import CaptureMethod, CreatePayment, Payment
from cashier_router.domain.progress import Assessment, RiskDecision, begin
from cashier_router.domain.routing import Decision, Question, decide
from cashier_router.flows.ports import (
    Actor,
    Claimed,
    KeyTakenError,
    MerchantReferenceTakenError,
    PaymentNameTakenError,
    World,
)
from cashier_router.flows.refusals import MerchantReferenceInUse, PaymentExists
from cashier_router.flows.submit_operation import drive, lease_s

# Risk answers in milliseconds; a caller with less time left than this is not kept waiting for it.
ASSESS_MAX_S = 5.0
# A duplicate looks again after this, doubling up to the longest pause.
JOIN_PAUSE_FIRST_S, JOIN_PAUSE_MAX_S = 0.02, 0.25


@dataclass(frozen=True, slots=True)
class Created:
    """The payment as it stands, and whether an earlier call made it."""

    payment: Payment
    replayed: bool


async def create_payment(
    command: CreatePayment, personal: object, actor: Actor, world: World, *, caller_ends_s: float
) -> Created:
    """Write down the payer's wish exactly once, then act on it.

    `caller_ends_s` is when the caller stops waiting, on `world.clock.monotonic()`. Crashing before
    the first unit of work promised nothing; after it a worker goes on. Raises a Refusal that wrote
    nothing, or one that says what an earlier call made of the key.
    """
    try:
        payment = await _promise(command, personal, actor, world, caller_ends_s=caller_ends_s)
    except KeyTakenError:
        return await join(command, world, caller_ends_s=caller_ends_s)
    except Refusal:
        # A replay must answer even while risk or the rails are away, and risk refuses a key that
        # was used with another request before we come to claim it.
        if await world.store.find_key(command.merchant, command.key) is None:
            raise
        return await join(command, world, caller_ends_s=caller_ends_s)
    await world.failpoint("router.after_promise")
    return Created(await drive(payment, actor, world, caller_ends_s=caller_ends_s), replayed=False)


async def join(command: CreatePayment, world: World, *, caller_ends_s: float) -> Created:
    """Wait until the payment that an earlier call made rests, or the caller's time is up."""
    claimed = await world.store.find_key(command.merchant, command.key)
    if claimed is None:
        raise IdempotencyInFlight
    _require_same(command, claimed)
    pause_s = JOIN_PAUSE_FIRST_S
    while True:
        payment = await world.store.payment(command.merchant, claimed.payment)
        if payment is None:
            raise IdempotencyInFlight
        if payment.rests or world.clock.monotonic() + pause_s >= caller_ends_s:
            return Created(payment, replayed=True)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, JOIN_PAUSE_MAX_S)


async def _promise(
    command: CreatePayment, personal: object, actor: Actor, world: World, *, caller_ends_s: float
) -> Payment:
    """Claim the key and write everything up to SUBMITTING in one unit of work."""
    left_s = caller_ends_s - world.clock.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded(method="CreatePayment")
    assessment = await world.risk.assess(command, personal, timeout_s=min(left_s, ASSESS_MAX_S))
    decision = None
    if assessment.decision is RiskDecision.FRICTIONLESS:
        decision = route(command, assessment, world)
    at = world.clock.now()
    payment, step = begin(command, assessment, decision, actor_trace=actor.traceparent, at=at)
    lease = lease_s(caller_ends_s - world.clock.monotonic())
    await world.failpoint("router.before_promise")
    try:
        async with world.store.begin() as book:
            book.claim(command)
            book.add(payment, step, actor, lease_s=lease if payment.submitting else 0)
    except PaymentNameTakenError:
        raise PaymentExists(payment=payment.name) from None
    except MerchantReferenceTakenError:
        raise MerchantReferenceInUse(
            merchant=command.merchant, merchant_reference=command.merchant_reference
        ) from None
    except RaceLost:
        raise IdempotencyInFlight from None
    return payment


def route(command: CreatePayment, assessment: Assessment, world: World) -> Decision:
    """The plan for this payment from the accounts as last heard."""
    terms = command.terms
    card = terms.instrument.method is Method.CARD
    question = Question(
        merchant=command.merchant,
        amount=command.amount,
        instrument=terms.instrument,
        customer_country=terms.customer_country
        or (terms.instrument.issuer_country if card else ""),
        merchant_category_code=terms.merchant_category_code,
        manual_capture=command.capture_method is CaptureMethod.MANUAL,
        strict_only=assessment.strict_accounts_only,
    )
    return decide(question, world.rails.accounts())


def _require_same(command: CreatePayment, claimed: Claimed) -> None:
    if claimed.fingerprint != command.fingerprint or claimed.payment != command.payment:
        raise IdempotencyKeyReused(merchant=command.merchant)
