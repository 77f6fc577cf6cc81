"""Authentications for tests, so that a test names only what it changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cashier_common.money import Money
from cashier_router.domain.authentication.advance import advance
from cashier_router.domain.authentication.attempt import (
    Bound,
    Flow,
    authentication_name,
    created,
    transaction_id,
)
from cashier_router.domain.authentication.events import (
    Answered,
    RangeFound,
    Started,
    Ticked,
    Told,
)
from cashier_router.domain.authentication.exemptions import ExemptionFacts
from cashier_router.domain.authentication.liability import Network
from cashier_router.domain.authentication.policy import (
    Band,
    Choice,
    Initiation,
    Question,
    Reason,
    Treatment,
)
from cashier_router.domain.authentication.result import Cryptogram, Result, Source, Status

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAYMENT = "payments/pay_a"
NAME = authentication_name(PAYMENT, 1)
BOUND = Bound(merchant="acme-games", amount=Money(10_000, "USD"), card="fp-1")
PROOF = Cryptogram("secrets/1", "d1")


def after_s(seconds: int) -> datetime:
    return AT + timedelta(seconds=seconds)


def a_choice(**changes) -> Choice:
    choice = Choice(
        treatment=Treatment.AUTHENTICATE, reason=Reason.SCA_REQUIRED, rules="test/1",
        in_scope=True, band=Band.LOW,
    )  # fmt: skip
    return replace(choice, **changes)


def an_attempt(number=1, *, network=Network.VISA, flow=Flow.STANDALONE, choice=None, **changes):
    fresh = created(
        authentication_name(PAYMENT, number), number, flow=flow, network=network, bound=BOUND,
        choice=choice or a_choice(), at=AT,
    )  # fmt: skip
    return replace(fresh, **changes)


def a_result(status="Y", *, source=Source.REQUEST, name=NAME, tries=1, **changes) -> Result:
    """A result of the first try with what Visa says beside its status."""
    status = Status(status)
    proven = {Status.AUTHENTICATED: "05", Status.ATTEMPTED: "06"}
    told = Result(
        source=source, transaction=transaction_id(name, tries), status=status,
        eci=proven.get(status, "07"), cryptogram=PROOF if status in proven else None,
    )  # fmt: skip
    return replace(told, **changes)


def run(attempt, *happenings):
    """The attempt after events, each at its second; a bare event happens at the start."""
    for happening in happenings:
        event, at_s = happening if isinstance(happening, tuple) else (happening, 0)
        attempt = advance(attempt, event, after_s(at_s)).attempt
    return attempt


def asked(attempt=None):
    """An attempt whose AReq is under way."""
    attempt = attempt or an_attempt()
    found = RangeFound(transaction_id(attempt.name, 1), "2.2.0", has_method=False)
    return run(attempt, Started(), found)


def challenged(attempt=None):
    """An attempt whose customer is being asked."""
    attempt = asked(attempt)
    return run(attempt, Answered(a_result("C", source=Source.ANSWER, name=attempt.name)))


def ended(status="Y", attempt=None, **changes):
    """An attempt that ended by a final result."""
    attempt = challenged(attempt)
    return run(attempt, Told(a_result(status, name=attempt.name, **changes)))


def out_of_time(attempt=None):
    """An attempt whose customer never came back, and whose result could not be fetched."""
    return run(challenged(attempt), (Ticked(), 900), (Ticked(), 930))


def a_question(**changes) -> Question:
    """A customer's payment of 20 euros between two countries of the EEA."""
    question = Question(
        card=True, initiation=Initiation.CUSTOMER, issuer_country="DE", acquirer_country="MT",
        reference_minor=2_160, band=Band.LOW, exemptions=ExemptionFacts(eur_cents=2_000),
    )  # fmt: skip
    return replace(question, **changes)
