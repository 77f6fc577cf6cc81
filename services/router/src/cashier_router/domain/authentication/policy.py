"""Who must be challenged: region, amount, risk and the processor's demand, each with its reason."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cashier_router.domain.authentication.exemptions import (
    Exemption,
    ExemptionFacts,
    Finding,
    Why,
    indicator,
    judge,
)

# From this many cents of the reference currency a challenge is mandatory: 10,000 US dollars.
CHALLENGE_FROM_MINOR: Final = 10_000_00
REFERENCE_ASSET: Final = "USD"
# PSD2 and its UK twin; a payment between the two is one-leg-out for both (EBA and FCA, 2021).
SCA_REGIONS: Final[dict[str, frozenset[str]]] = {
    "EEA": frozenset(
        {
            "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
            "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE",
            "SI", "SK",
        }
    ),
    "UK": frozenset({"GB"}),
}  # fmt: skip


class Initiation(StrEnum):
    """Who makes the payment."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    MAIL_OR_TELEPHONE = "mail_or_telephone"


class Band(StrEnum):
    """What risk thinks of the payment."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Treatment(StrEnum):
    """What is done about authentication."""

    SKIP = "skip"
    EXEMPT = "exempt"  # the exemption is asked for in the authorization
    AUTHENTICATE = "authenticate"


class Challenge(StrEnum):
    """What the issuer is asked for, as EMV 3-D Secure's `threeDSRequestorChallengeInd`."""

    NO_PREFERENCE = "01"
    NOT_WANTED = "02"
    WANTED = "03"
    MANDATED = "04"


class Venue(StrEnum):
    """Where an exemption is asked for: sooner and cheaper, or with the issuer's liability open."""

    AUTHORIZATION = "authorization"
    AUTHENTICATION = "authentication"


class Reason(StrEnum):
    """Why this and nothing else."""

    NOT_A_CARD = "not_a_card"
    SOFT_DECLINE = "soft_decline"
    MERCHANT_INITIATED = "merchant_initiated"
    MERCHANT_INITIATED_UNPROVEN = "merchant_initiated_unproven"
    MAIL_OR_TELEPHONE = "mail_or_telephone"
    PROCESSOR_DEMAND = "processor_demand"
    RISK_HIGH = "risk_high"
    AMOUNT_HIGH = "amount_high"
    AMOUNT_NOT_COMPARABLE = "amount_not_comparable"  # no rate to the reference currency
    EXEMPTION = "exemption"
    SCA_REQUIRED = "sca_required"
    RISK_MEDIUM = "risk_medium"
    ONE_LEG_OUT = "one_leg_out"
    NO_RULE = "no_rule"  # no law asks for it, and nothing else does


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The facts of a payment that the policy looks at.

    `reference_minor` is the amount in minor units of REFERENCE_ASSET by the rates in force, None
    where there is no rate. Countries are ISO 3166-1 alpha-2, empty where not known.
    """

    card: bool
    initiation: Initiation
    issuer_country: str
    acquirer_country: str
    reference_minor: int | None
    band: Band
    exemptions: ExemptionFacts
    processor_demands: bool = False
    after_soft_decline: bool = False
    initial_reference: str = ""  # network reference of the authenticated payment before a MIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The policy in force; `version` is stored with each choice."""

    version: str = "default/1"
    challenge_from_minor: int = CHALLENGE_FROM_MINOR
    exemptions: frozenset[Exemption] = frozenset(Exemption)
    venue: Venue = Venue.AUTHORIZATION
    decoupled_max_minutes: int = 0  # 1 to 10,080; 0 asks for no decoupled challenge


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is done, why, and everything that its end is judged by; stored with the attempt.

    `band` is already raised where the amount is high. `judged` are the exemptions looked at.
    """

    treatment: Treatment
    reason: Reason
    rules: str
    in_scope: bool
    band: Band
    challenge: Challenge = Challenge.NO_PREFERENCE
    exemption: Exemption | None = None
    venue: Venue | None = None
    decoupled_max_minutes: int = 0
    judged: tuple[Finding, ...] = field(default=())

    def indicator(self, version: str) -> str:
        """`threeDSRequestorChallengeInd` in this version of the protocol."""
        if self.exemption is not None and self.venue is Venue.AUTHENTICATION:
            return indicator(self.exemption, version)
        return self.challenge.value


def choose(question: Question, rules: Rules) -> Choice:
    """The first rule that applies, most binding first; every payment gets one."""
    scope = in_scope(question)
    high_amount = _amount_is_high(question, rules)
    band = raised(question.band) if high_amount else question.band
    mandate = Challenge.MANDATED if scope else Challenge.WANTED
    for applies, reason in _outside(question):
        if applies:
            return Choice(
                treatment=Treatment.SKIP, reason=reason, rules=rules.version, band=band,
                # Nobody is there to be challenged, and no proof from before: its end is a stop.
                in_scope=scope and reason is Reason.MERCHANT_INITIATED_UNPROVEN,
            )  # fmt: skip
    for applies, reason in _demands(question, rules):
        if applies:
            stepped_up = reason is Reason.SOFT_DECLINE
            return Choice(
                treatment=Treatment.AUTHENTICATE, reason=reason, rules=rules.version, band=band,
                in_scope=scope, challenge=Challenge.MANDATED if stepped_up else mandate,
                decoupled_max_minutes=rules.decoupled_max_minutes,
            )  # fmt: skip
    if scope:
        return _in_scope(question, rules, band)
    if question.band is Band.MEDIUM:
        return Choice(
            treatment=Treatment.AUTHENTICATE, reason=Reason.RISK_MEDIUM, rules=rules.version,
            in_scope=False, band=band, decoupled_max_minutes=rules.decoupled_max_minutes,
        )  # fmt: skip
    one_leg = region(question.issuer_country) or region(question.acquirer_country)
    reason = Reason.ONE_LEG_OUT if one_leg else Reason.NO_RULE
    return Choice(
        treatment=Treatment.SKIP, reason=reason, rules=rules.version, in_scope=False, band=band
    )


def region(country: str) -> str:
    """The region whose rules ask for strong authentication; empty for none."""
    return next((name for name, members in SCA_REGIONS.items() if country in members), "")


def in_scope(question: Question) -> bool:
    """Whether the law asks for strong authentication of a card payment between these countries.

    A country that is not known counts as the other one's: what is missing frees nobody.
    """
    issuer = region(question.issuer_country)
    acquirer = region(question.acquirer_country)
    if not question.card:
        return False
    if not question.issuer_country or not question.acquirer_country:
        return bool(issuer or acquirer)
    return bool(issuer) and issuer == acquirer


def raised(band: Band) -> Band:
    """One band stricter."""
    return Band.MEDIUM if band is Band.LOW else Band.HIGH


def _amount_is_high(question: Question, rules: Rules) -> bool:
    amount = question.reference_minor
    return amount is None or amount >= rules.challenge_from_minor


def _outside(question: Question) -> Iterator[tuple[bool, Reason]]:
    """What no issuer can be asked about."""
    yield not question.card, Reason.NOT_A_CARD
    by_merchant = question.initiation is Initiation.MERCHANT
    proven = bool(question.initial_reference)
    yield by_merchant and proven, Reason.MERCHANT_INITIATED
    yield by_merchant, Reason.MERCHANT_INITIATED_UNPROVEN
    yield question.initiation is Initiation.MAIL_OR_TELEPHONE, Reason.MAIL_OR_TELEPHONE


def _demands(question: Question, rules: Rules) -> Iterator[tuple[bool, Reason]]:
    """What asks for a challenge whatever exemption there may be."""
    yield question.after_soft_decline, Reason.SOFT_DECLINE
    yield question.processor_demands, Reason.PROCESSOR_DEMAND
    yield question.band is Band.HIGH, Reason.RISK_HIGH
    yield question.reference_minor is None, Reason.AMOUNT_NOT_COMPARABLE
    yield _amount_is_high(question, rules), Reason.AMOUNT_HIGH


def _in_scope(question: Question, rules: Rules, band: Band) -> Choice:
    judged = judge(question.exemptions, rules.exemptions)
    held = next((found.exemption for found in judged if found.why is Why.HOLDS), None)
    if held is None:
        return Choice(
            treatment=Treatment.AUTHENTICATE, reason=Reason.SCA_REQUIRED, rules=rules.version,
            in_scope=True, band=band, judged=judged,
            decoupled_max_minutes=rules.decoupled_max_minutes,
        )  # fmt: skip
    in_authorization = rules.venue is Venue.AUTHORIZATION
    return Choice(
        treatment=Treatment.EXEMPT if in_authorization else Treatment.AUTHENTICATE,
        reason=Reason.EXEMPTION, rules=rules.version, in_scope=True, band=band,
        challenge=Challenge.NOT_WANTED, exemption=held, venue=rules.venue, judged=judged,
    )  # fmt: skip
