"""Where a payment goes: its facts beside the accounts and their health as they were last heard."""

from cashier_router.domain.commands import CreatePayment
from cashier_router.domain.instrument import Method
from cashier_router.domain.payment import CaptureMethod, Direction, Payment
from cashier_router.domain.routing import Decision, Question, decide
from cashier_router.flows.ports import World


def route(wish: CreatePayment | Payment, world: World, *, strict_only: bool) -> Decision:
    """The plan for a payment; PeerUnavailable when no rail was ever heard."""
    terms = wish.terms
    card = terms.instrument.method is Method.CARD
    question = Question(
        merchant=wish.merchant,
        amount=wish.amount,
        instrument=terms.instrument,
        customer_country=terms.customer_country
        or (terms.instrument.issuer_country if card else ""),
        merchant_category_code=terms.merchant_category_code,
        manual_capture=wish.capture_method is CaptureMethod.MANUAL,
        payout=wish.direction is Direction.PAYOUT,
        strict_only=strict_only,
        payment=wish.name if isinstance(wish, Payment) else wish.payment,
        residence=terms.customer_country,
        installments=terms.installments,
    )
    return decide(question, world.rails.accounts(), world.health.pictures())
