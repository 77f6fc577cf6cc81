"""What an authentication's end means for its payment, and who may use its proof."""

from dataclasses import replace

import pytest

from cashier_common.money import Money
from cashier_router.domain.authentication.attempt import Bound, Flow
from cashier_router.domain.authentication.consequence import (
    UNPROVEN,
    Ground,
    Verdict,
    consequence,
)
from cashier_router.domain.authentication.events import Answered, Started, Told, Withdrawn
from cashier_router.domain.authentication.exemptions import Exemption
from cashier_router.domain.authentication.liability import Party
from cashier_router.domain.authentication.policy import Band, Reason, Treatment, Venue
from cashier_router.domain.authentication.result import Cancel, Source
from cashier_router.domain.authentication.series import (
    Refused,
    consume,
    exemption_answered,
    may_begin,
    may_step_up,
)
from tests.support.authentications import (
    BOUND,
    a_choice,
    a_result,
    after_s,
    an_attempt,
    asked,
    challenged,
    ended,
    out_of_time,
    run,
)

V, G = Verdict, Ground
LAW, FREE = True, False
NOW = after_s(2_000)


def told(attempt, **facts):
    return consequence(attempt, **{"further_allowed": True, "payment_over": False, **facts})


def with_choice(scope, band, **changes):
    return an_attempt(choice=a_choice(in_scope=scope, band=band, **changes))


def test_a_proof_that_shifts_liability_authorizes_at_the_issuers_risk():
    assert (V.AUTHORIZE, G.PROVEN, Party.ISSUER) == (
        told(ended()).verdict, told(ended()).ground, told(ended()).liable,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "band", "verdict"),
    [
        (LAW, Band.LOW, V.REVIEW),
        (LAW, Band.HIGH, V.STOP),
        (FREE, Band.LOW, V.AUTHORIZE),
        (FREE, Band.MEDIUM, V.REVIEW),
    ],
)
def test_a_proof_without_cryptogram_is_no_proof(scope, band, verdict):
    attempt = ended("Y", with_choice(scope, band), cryptogram=None)

    assert (verdict, G.PROOF_INCOMPLETE, Party.MERCHANT) == (
        told(attempt).verdict, told(attempt).ground, told(attempt).liable,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "band", "verdict"),
    [
        (LAW, Band.LOW, V.STOP),
        (LAW, Band.MEDIUM, V.STOP),
        (FREE, Band.LOW, V.AUTHORIZE),
        (FREE, Band.MEDIUM, V.REVIEW),
        (FREE, Band.HIGH, V.STOP),
    ],
)
def test_what_could_not_be_asked_is_stopped_where_the_law_asks(scope, band, verdict):
    attempt = ended("U", with_choice(scope, band))

    assert (verdict, G.COULD_NOT_BE_ASKED) == (told(attempt).verdict, told(attempt).ground)


def test_an_attempt_of_the_issuers_is_reviewed_where_risk_is_high():
    verdicts = [told(ended("A", with_choice(LAW, band))).verdict for band in (Band.LOW, Band.HIGH)]

    assert [V.AUTHORIZE, V.REVIEW] == verdicts


def test_information_counts_only_where_we_asked_for_the_exemption():
    wished = {"exemption": Exemption.TRANSACTION_RISK, "venue": Venue.AUTHENTICATION}
    word = Answered(a_result("I", source=Source.ANSWER))

    unasked, asked_for = (
        run(asked(with_choice(LAW, Band.LOW, **changes)), word) for changes in ({}, wished)
    )

    assert (V.STOP, G.INFORMATIONAL_UNASKED) == (told(unasked).verdict, told(unasked).ground)
    assert (V.AUTHORIZE, G.INFORMATIONAL_ASKED) == (
        told(asked_for).verdict, told(asked_for).ground,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("treatment", "scope", "band", "verdict"),
    [
        (Treatment.SKIP, FREE, Band.LOW, V.AUTHORIZE),
        (Treatment.SKIP, LAW, Band.LOW, V.STOP),
        (Treatment.SKIP, FREE, Band.HIGH, V.REVIEW),
        (Treatment.EXEMPT, LAW, Band.LOW, V.AUTHORIZE),
        (Treatment.EXEMPT, LAW, Band.HIGH, V.REVIEW),
    ],
)
def test_what_nobody_was_asked_about(treatment, scope, band, verdict):
    attempt = run(with_choice(scope, band, treatment=treatment), Started())

    assert (verdict, Party.MERCHANT) == (told(attempt).verdict, told(attempt).liable)


def test_a_no_of_the_issuers_stops_and_its_rejection_blocks_the_card():
    failed, rejected = told(ended("N")), told(ended("R"))

    assert [(V.STOP, False), (V.STOP, True)] == [
        (one.verdict, one.block_card) for one in (failed, rejected)
    ]


@pytest.mark.parametrize("make", [out_of_time, lambda: ended("N", cancel=Cancel.CARDHOLDER)])
def test_a_customer_who_left_may_try_again_until_time_or_tries_are_up(make):
    attempt = make()

    waiting = told(attempt)
    exhausted = told(attempt, further_allowed=False)
    over = told(attempt, payment_over=True)

    assert [V.WAIT, V.CANCEL, V.CANCEL] == [c.verdict for c in (waiting, exhausted, over)]
    assert [False, True, False] == [c.block_card for c in (waiting, exhausted, over)]


def test_a_payment_that_is_over_is_canceled_though_its_customer_authenticated():
    assert V.CANCEL is told(ended(), payment_over=True).verdict


def test_a_contested_proof_goes_to_a_person():
    contested = run(ended(), (Told(a_result("N")), 5))

    assert (V.REVIEW, G.CONTESTED) == (told(contested).verdict, told(contested).ground)
    assert Refused.CONTESTED is consume(contested, BOUND, "op/1", NOW)


def test_of_a_processor_that_authenticates_only_its_authorization_counts():
    native = run(
        an_attempt(flow=Flow.NATIVE), Started(), Answered(a_result("N", source=Source.PROCESSOR))
    )

    assert V.FOLLOW_PROCESSOR is told(native).verdict


def test_what_is_live_is_waited_for():
    assert V.WAIT is told(challenged()).verdict


def test_the_table_judges_every_end_without_a_proof():
    grounds = {ground for ground, _, _ in UNPROVEN}

    assert {(g, s, b) for g in grounds for s in (LAW, FREE) for b in Band} == set(UNPROVEN)
    # More risk and more law never make it easier.
    order = [V.AUTHORIZE, V.REVIEW, V.STOP]
    for ground in grounds:
        for scope in (LAW, FREE):
            ranks = [order.index(UNPROVEN[ground, scope, band]) for band in Band]
            assert sorted(ranks) == ranks
        for band in Band:
            strict, free = (order.index(UNPROVEN[ground, s, band]) for s in (LAW, FREE))
            assert strict >= free


def test_a_proof_is_used_once():
    done = ended()
    used = consume(done, BOUND, "op/1", NOW)

    assert ("op/1", done.version + 1) == (used.consumed_by, used.version)
    assert used is consume(used, BOUND, "op/1", NOW)
    assert Refused.CONSUMED is consume(used, BOUND, "op/2", NOW)
    assert None is used.cryptogram


def test_a_proof_that_never_reached_a_processor_passes_on():
    used = consume(ended(), BOUND, "op/1", NOW)

    assert "op/2" == consume(used, BOUND, "op/2", NOW, unused="op/1").consumed_by
    assert Refused.CONSUMED is consume(used, BOUND, "op/3", NOW, unused="op/2")


def test_where_nobody_was_asked_there_is_no_proof_to_use_up():
    exempt = run(an_attempt(choice=a_choice(treatment=Treatment.EXEMPT)), Started())
    first = consume(exempt, BOUND, "op/1", NOW)

    assert "op/2" == consume(first, BOUND, "op/2", NOW).consumed_by


@pytest.mark.parametrize(
    "bound",
    [
        replace(BOUND, amount=Money(10_001, "USD")),
        replace(BOUND, amount=Money(10_000, "EUR")),
        replace(BOUND, card="fp-2"),
        replace(BOUND, merchant="other"),
    ],
    ids=["amount", "asset", "card", "merchant"],
)
def test_a_proof_is_for_what_the_customer_saw(bound):
    assert isinstance(bound, Bound)
    used = consume(ended(), BOUND, "op/1", NOW)

    assert Refused.TERMS_DIFFER is consume(ended(), bound, "op/1", NOW)
    assert Refused.TERMS_DIFFER is consume(used, bound, "op/1", NOW)


@pytest.mark.parametrize(
    ("attempt", "refused"),
    [
        (challenged(), Refused.STILL_LIVE),
        (ended("N"), Refused.WITHOUT_AUTHORITY),
        (ended("R"), Refused.WITHOUT_AUTHORITY),
        (ended("U"), Refused.WITHOUT_AUTHORITY),  # the law asks
        (out_of_time(), Refused.WITHOUT_AUTHORITY),
    ],
)
def test_what_proves_nothing_is_not_used(attempt, refused):
    assert refused is consume(attempt, BOUND, "op/1", NOW)


def left(number):
    return run(challenged(an_attempt(number)), Withdrawn("left"))


def test_a_payment_has_three_attempts_one_at_a_time():
    assert None is may_begin([])
    assert None is may_begin([left(1), left(2)])
    assert Refused.ATTEMPTS_EXHAUSTED is may_begin([left(1), left(2), left(3)])
    assert Refused.ATTEMPT_LIVE is may_begin([left(1), challenged(an_attempt(2))])
    assert Refused.CARD_REJECTED is may_begin([ended("R")])
    assert Refused.NOT_AUTHENTICATED is may_begin([ended("N")])


def test_a_soft_decline_opens_exactly_one_step_up():
    exempt = run(an_attempt(choice=a_choice(treatment=Treatment.EXEMPT)), Started())
    step = an_attempt(2, choice=a_choice(reason=Reason.SOFT_DECLINE))
    done = ended("Y", step)
    soft = {"brand": "visa", "code": "1A"}

    assert None is may_step_up([exempt], **soft)
    assert None is may_step_up([exempt], brand="mastercard", code="65")
    assert Refused.NOT_A_SOFT_DECLINE is may_step_up([exempt], brand="visa", code="65")
    assert Refused.NOT_A_SOFT_DECLINE is may_step_up([exempt], brand="visa", code="05")
    assert Refused.ALREADY_CHALLENGED is may_step_up([exempt, done], **soft)
    unchallenged = run(asked(step), Answered(a_result("A", source=Source.ANSWER, name=step.name)))
    assert Refused.ALREADY_STEPPED_UP is may_step_up([exempt, unchallenged], **soft)
    assert None is may_begin([exempt, unchallenged])


def test_an_exemptions_answer_is_told_once():
    choice = a_choice(treatment=Treatment.EXEMPT, exemption=Exemption.LOW_VALUE)
    exempt = run(an_attempt(choice=choice), Started())

    granted = exemption_answered(exempt, NOW, granted=True)

    assert (None, True) == (exempt.exemption_granted, granted.exemption_granted)
    assert granted is exemption_answered(granted, NOW, granted=False)
    assert exemption_answered(ended(), NOW, granted=True).exemption_granted is None
