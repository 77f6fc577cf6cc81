"""Who is challenged, what is exempt, who is liable, and that every choice names its reason."""

from dataclasses import replace

import pytest

from cashier_router.domain.authentication.exemptions import (
    AcquirerRisk,
    Counters,
    Exemption,
    ExemptionFacts,
    Why,
    counted,
    indicator,
    judge,
    tra_limit_eur_cents,
)
from cashier_router.domain.authentication.liability import (
    SHIFTS,
    Grounds,
    Network,
    Party,
    liability,
    network_of,
)
from cashier_router.domain.authentication.policy import (
    CHALLENGE_FROM_MINOR,
    Band,
    Challenge,
    Initiation,
    Reason,
    Rules,
    Treatment,
    Venue,
    choose,
)
from cashier_router.domain.authentication.result import Status
from tests.support.authentications import PROOF, a_question, a_result

RULES = Rules()
ALL = frozenset(Exemption)
LOW_VALUE = ExemptionFacts(eur_cents=2_000, counters=Counters(0, 0))
BOTH_US = {"issuer_country": "US", "acquirer_country": "US"}
SKIP, EXEMPT, ASK = Treatment.SKIP, Treatment.EXEMPT, Treatment.AUTHENTICATE
WISHED, MUST, ANY = Challenge.WANTED, Challenge.MANDATED, Challenge.NO_PREFERENCE


@pytest.mark.parametrize(
    ("facts", "treatment", "reason", "challenge", "scope"),
    [
        ({}, ASK, Reason.SCA_REQUIRED, ANY, True),
        ({"card": False}, SKIP, Reason.NOT_A_CARD, ANY, False),
        ({"issuer_country": "US"}, SKIP, Reason.ONE_LEG_OUT, ANY, False),
        ({"issuer_country": "GB"}, SKIP, Reason.ONE_LEG_OUT, ANY, False),
        ({"issuer_country": ""}, ASK, Reason.SCA_REQUIRED, ANY, True),
        ({"acquirer_country": ""}, ASK, Reason.SCA_REQUIRED, ANY, True),
        (
            {"issuer_country": "GB", "acquirer_country": "GB"},
            ASK, Reason.SCA_REQUIRED, ANY, True,
        ),
        (BOTH_US, SKIP, Reason.NO_RULE, ANY, False),
        ({**BOTH_US, "band": Band.MEDIUM}, ASK, Reason.RISK_MEDIUM, ANY, False),
        ({**BOTH_US, "band": Band.HIGH}, ASK, Reason.RISK_HIGH, WISHED, False),
        ({"band": Band.HIGH}, ASK, Reason.RISK_HIGH, MUST, True),
        (
            {**BOTH_US, "reference_minor": CHALLENGE_FROM_MINOR},
            ASK, Reason.AMOUNT_HIGH, WISHED, False,
        ),
        ({**BOTH_US, "reference_minor": CHALLENGE_FROM_MINOR - 1}, SKIP, Reason.NO_RULE, ANY,
         False),
        ({**BOTH_US, "reference_minor": None}, ASK, Reason.AMOUNT_NOT_COMPARABLE, WISHED, False),
        ({"processor_demands": True}, ASK, Reason.PROCESSOR_DEMAND, MUST, True),
        ({**BOTH_US, "after_soft_decline": True}, ASK, Reason.SOFT_DECLINE, MUST, False),
        ({"initiation": Initiation.MAIL_OR_TELEPHONE}, SKIP, Reason.MAIL_OR_TELEPHONE, ANY, False),
        (
            {"initiation": Initiation.MERCHANT, "initial_reference": "net-1"},
            SKIP, Reason.MERCHANT_INITIATED, ANY, False,
        ),
        (
            {"initiation": Initiation.MERCHANT},
            SKIP, Reason.MERCHANT_INITIATED_UNPROVEN, ANY, True,
        ),
        ({"exemptions": LOW_VALUE}, EXEMPT, Reason.EXEMPTION, Challenge.NOT_WANTED, True),
        # What must be challenged is, whatever exemption there may be.
        ({"exemptions": LOW_VALUE, "band": Band.HIGH}, ASK, Reason.RISK_HIGH, MUST, True),
        (
            {"exemptions": LOW_VALUE, "after_soft_decline": True},
            ASK, Reason.SOFT_DECLINE, MUST, True,
        ),
    ],
)  # fmt: skip
def test_who_is_challenged_and_why(facts, treatment, reason, challenge, scope):
    choice = choose(a_question(**facts), RULES)

    assert (treatment, reason, challenge, scope, "default/1") == (
        choice.treatment, choice.reason, choice.challenge, choice.in_scope, choice.rules,
    )  # fmt: skip


def test_a_high_amount_raises_the_band_that_its_end_is_judged_by():
    high = a_question(reference_minor=CHALLENGE_FROM_MINOR, band=Band.MEDIUM)

    assert Band.MEDIUM is choose(a_question(reference_minor=None), RULES).band
    assert (Band.HIGH, Band.LOW) == (
        choose(high, RULES).band, choose(a_question(), RULES).band,
    )  # fmt: skip


def test_an_exemption_may_be_asked_of_the_issuer_instead():
    choice = choose(a_question(exemptions=LOW_VALUE), replace(RULES, venue=Venue.AUTHENTICATION))

    assert (ASK, Exemption.LOW_VALUE) == (choice.treatment, choice.exemption)
    assert ["02", "10"] == [choice.indicator(version) for version in ("2.2.0", "2.3.1")]
    assert MUST.value == choose(a_question(processor_demands=True), RULES).indicator("2.2.0")


def test_every_exemption_that_was_looked_at_says_why_not():
    choice = choose(a_question(), RULES)

    assert {
        Exemption.RECURRING: Why.NO_SERIES,
        Exemption.SECURE_CORPORATE: Why.NOT_CORPORATE,
        Exemption.TRUSTED_BENEFICIARY: Why.NOT_TRUSTED,
        Exemption.LOW_VALUE: Why.COUNTERS_UNKNOWN,
        Exemption.TRANSACTION_RISK: Why.NOT_CONTRACTED,
    } == {found.exemption: found.why for found in choice.judged}


def found(exemption, **facts):
    only = judge(ExemptionFacts(**{"eur_cents": 3_000, **facts}), frozenset({exemption}))
    return next(one.why for one in only if one.exemption is exemption)


def contract(rate=100, **changes):
    return AcquirerRisk(**{"contracted": True, "fraud_rate_ppm": rate, **changes})


LOW, TRA = Exemption.LOW_VALUE, Exemption.TRANSACTION_RISK


@pytest.mark.parametrize(
    ("exemption", "facts", "why"),
    [
        (LOW, {"counters": Counters(4, 7_000)}, Why.HOLDS),
        (LOW, {"counters": Counters(5, 0)}, Why.COUNTER_NUMBER_REACHED),
        (LOW, {"counters": Counters(0, 7_001)}, Why.COUNTER_TOTAL_REACHED),
        (LOW, {"counters": Counters(0, 0), "eur_cents": 3_001}, Why.AMOUNT_TOO_HIGH),
        (LOW, {"counters": Counters(0, 0), "eur_cents": None}, Why.RATE_UNKNOWN),
        (LOW, {}, Why.COUNTERS_UNKNOWN),
        (TRA, {"acquirer_risk": contract(), "risk_is_low": True}, Why.HOLDS),
        (TRA, {"acquirer_risk": contract()}, Why.RISK_NOT_LOW),
        (TRA, {"acquirer_risk": contract(1_301), "risk_is_low": True}, Why.FRAUD_RATE_TOO_HIGH),
        (TRA, {"acquirer_risk": contract(None), "risk_is_low": True}, Why.FRAUD_RATE_UNKNOWN),
        (TRA, {"acquirer_risk": AcquirerRisk(contracted=False), "risk_is_low": True},
         Why.NOT_CONTRACTED),
        (TRA, {"acquirer_risk": contract(1_300), "eur_cents": 10_001}, Why.AMOUNT_TOO_HIGH),
        (TRA, {"acquirer_risk": contract(), "risk_is_low": True, "merchant_category_code": "7995"},
         Why.GAMBLING_NOT_CONTRACTED),
        (TRA, {"acquirer_risk": contract(gambling_contracted=True), "risk_is_low": True,
               "merchant_category_code": "7995"}, Why.HOLDS),
        (Exemption.RECURRING, {"series_reference": "net-1", "series_amount_is_same": True},
         Why.HOLDS),
        (Exemption.RECURRING, {"series_reference": "net-1"}, Why.OTHER_AMOUNT),
        (Exemption.TRUSTED_BENEFICIARY, {"trusted_by_customer": True}, Why.HOLDS),
        (Exemption.SECURE_CORPORATE, {"corporate_process": True}, Why.HOLDS),
    ],
)  # fmt: skip
def test_what_an_exemption_needs(exemption, facts, why):
    assert why is found(exemption, **facts)


def test_an_exemption_that_is_switched_off_never_holds():
    facts = ExemptionFacts(eur_cents=1, trusted_by_customer=True)

    assert {Why.SWITCHED_OFF} == {one.why for one in judge(facts, frozenset())}
    assert Why.HOLDS is judge(facts, ALL)[-1].why


@pytest.mark.parametrize(
    ("rate", "own_limit", "limit"),
    [
        (0, 0, 50_000),
        (100, 0, 50_000),
        (101, 0, 25_000),
        (600, 0, 25_000),
        (601, 0, 10_000),
        (1_300, 0, 10_000),
        (1_301, 0, 0),
        (100, 20_000, 20_000),
        (1_300, 20_000, 10_000),
    ],
)
def test_how_much_an_acquirers_fraud_rate_allows(rate, own_limit, limit):
    assert limit == tra_limit_eur_cents(contract(rate, limit_eur_cents=own_limit))


def test_only_a_real_authentication_resets_the_counters():
    once = counted(Counters(1, 500), 300, strongly_authenticated=False)

    assert Counters(2, 800) == once
    assert Counters(0, 0) == counted(once, 300, strongly_authenticated=True)


def test_an_exemption_without_a_word_in_this_version_asks_for_no_challenge():
    assert ["05", "02", "08", "02", "02"] == [
        indicator(TRA, "2.2.0"), indicator(TRA, "2.1.0"),
        indicator(Exemption.TRUSTED_BENEFICIARY, "2.3.1"), indicator(LOW, ""),
        indicator(Exemption.RECURRING, "2.3.1"),
    ]  # fmt: skip


ISSUER, MERCHANT = Party.ISSUER, Party.MERCHANT


@pytest.mark.parametrize(
    ("network", "status", "eci", "party", "grounds"),
    [
        ("visa", "Y", "05", ISSUER, Grounds.AUTHENTICATED),
        ("amex", "A", "06", ISSUER, Grounds.ATTEMPTED),
        ("mastercard", "Y", "02", ISSUER, Grounds.AUTHENTICATED),
        ("mastercard", "A", "01", ISSUER, Grounds.ATTEMPTED),
        ("visa", "Y", "02", MERCHANT, Grounds.ECI_DISAGREES),
        ("mastercard", "Y", "05", MERCHANT, Grounds.ECI_DISAGREES),
        ("visa", "Y", "06", MERCHANT, Grounds.ECI_DISAGREES),
        ("visa", "Y", "", MERCHANT, Grounds.ECI_DISAGREES),
        ("mastercard", "Y", "06", MERCHANT, Grounds.ECI_DISAGREES),  # acquirer's exemption
        ("mastercard", "Y", "04", MERCHANT, Grounds.ECI_DISAGREES),  # data only
        ("mastercard", "Y", "07", MERCHANT, Grounds.ECI_DISAGREES),  # recurring
        ("visa", "I", "05", MERCHANT, Grounds.INFORMATIONAL),
        ("visa", "N", "05", MERCHANT, Grounds.NOT_AUTHENTICATED),
        ("visa", "R", "05", MERCHANT, Grounds.NOT_AUTHENTICATED),
        ("visa", "U", "05", MERCHANT, Grounds.NOT_AUTHENTICATED),
        ("hipercard", "Y", "05", MERCHANT, Grounds.NETWORK_UNKNOWN),
    ],
)
def test_who_is_liable(network, status, eci, party, grounds):
    result = replace(a_result(status), eci=eci, cryptogram=PROOF)

    told = liability(network_of(network), result)

    assert (party, grounds) == (told.party, told.grounds)


def test_without_a_cryptogram_nothing_shifts():
    bare = replace(a_result("Y"), cryptogram=None)

    assert Grounds.NO_CRYPTOGRAM is liability(Network.VISA, bare).grounds


def test_what_was_exempted_or_is_excepted_stays_with_the_merchant():
    mastercard = replace(a_result("Y"), eci="02")
    visa = a_result("Y")

    assert [Grounds.EXEMPTED, Grounds.AUTHENTICATED, Grounds.EXCEPTED_BY_SCHEME] == [
        liability(Network.MASTERCARD, mastercard, exempted=True).grounds,
        liability(Network.VISA, visa, exempted=True).grounds,
        liability(Network.VISA, visa, excepted=True).grounds,
    ]
    assert Grounds.EXEMPTED is liability(Network.VISA, None, exempted=True).grounds


def test_only_two_statuses_ever_shift_liability():
    shifting = {status for rows in SHIFTS.values() for status, _ in rows}

    assert {Status.AUTHENTICATED, Status.ATTEMPTED} == {Status(status) for status in shifting}
    assert set(Network) == set(SHIFTS)
