"""Exemptions from strong authentication: RTS (EU) 2018/389, each with what it needs as facts."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Art. 16, in cents of a euro: one payment, all since the last strong authentication, and how many.
LOW_VALUE_MAX_EUR_CENTS: Final = 30_00
LOW_VALUE_TOTAL_MAX_EUR_CENTS: Final = 100_00
LOW_VALUE_PAYMENTS_MAX_COUNT: Final = 5
# Art. 18 and its annex: up to this fraud rate (parts per million) up to this amount (cents of a
# euro), the highest amounts first.
TRA_TIERS: Final = ((100, 500_00), (600, 250_00), (1_300, 100_00))
# Issuers and acquirers do not take our own analysis for gambling, unless a contract says so.
GAMBLING: Final = frozenset({"7995"})


class Exemption(StrEnum):
    """One exemption. Merchant-initiated, mail and one-leg-out payments are out of scope instead."""

    RECURRING = "recurring"  # Art. 14
    SECURE_CORPORATE = "secure_corporate"  # Art. 17
    TRUSTED_BENEFICIARY = "trusted_beneficiary"  # Art. 13
    LOW_VALUE = "low_value"  # Art. 16
    TRANSACTION_RISK = "transaction_risk"  # Art. 18


class Why(StrEnum):
    """Why an exemption holds, or the first thing that keeps it from holding."""

    HOLDS = "holds"
    SWITCHED_OFF = "switched_off"
    RATE_UNKNOWN = "rate_unknown"  # what the amount is in euros
    AMOUNT_TOO_HIGH = "amount_too_high"
    COUNTERS_UNKNOWN = "counters_unknown"
    COUNTER_TOTAL_REACHED = "counter_total_reached"
    COUNTER_NUMBER_REACHED = "counter_number_reached"
    NOT_CONTRACTED = "not_contracted"
    GAMBLING_NOT_CONTRACTED = "gambling_not_contracted"
    FRAUD_RATE_UNKNOWN = "fraud_rate_unknown"
    FRAUD_RATE_TOO_HIGH = "fraud_rate_too_high"
    RISK_NOT_LOW = "risk_not_low"
    NOT_TRUSTED = "not_trusted"
    NOT_CORPORATE = "not_corporate"
    NO_SERIES = "no_series"
    OTHER_AMOUNT = "other_amount"


@dataclass(frozen=True, slots=True)
class Counters:
    """Our mirror of the issuer's counters for one card since its last strong authentication."""

    payments: int
    total_eur_cents: int


@dataclass(frozen=True, slots=True)
class AcquirerRisk:
    """What the acquirer contracted about its own risk analysis; a merchant cannot grant it itself.

    `fraud_rate_ppm` is its card fraud rate of the last 90 days in parts per million, None where it
    is not known; `limit_eur_cents` is the contract's own limit, 0 where it has none.
    """

    contracted: bool
    gambling_contracted: bool = False
    fraud_rate_ppm: int | None = None
    limit_eur_cents: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExemptionFacts:
    """Everything that exemptions look at. None is "not known", which grants nothing."""

    eur_cents: int | None
    merchant_category_code: str = ""
    risk_is_low: bool = False  # by our own analysis of this payment
    counters: Counters | None = None
    acquirer_risk: AcquirerRisk | None = None
    trusted_by_customer: bool = False  # the issuer told that we are on the customer's list
    corporate_process: bool = False  # a lodged or virtual card of a company's own process
    series_reference: str = ""  # network reference of the authenticated first payment of a series
    series_amount_is_same: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One exemption and whether it holds."""

    exemption: Exemption
    why: Why


def judge(facts: ExemptionFacts, enabled: frozenset[Exemption]) -> tuple[Finding, ...]:
    """Every exemption up to the first that holds, in the order in which they are worth asking."""
    findings: list[Finding] = []
    for exemption, rule in _RULES.items():
        why = rule(facts) if exemption in enabled else Why.SWITCHED_OFF
        findings.append(Finding(exemption, why))
        if why is Why.HOLDS:
            break
    return tuple(findings)


def _recurring(facts: ExemptionFacts) -> Why:
    if not facts.series_reference:
        return Why.NO_SERIES
    return Why.HOLDS if facts.series_amount_is_same else Why.OTHER_AMOUNT


def _corporate(facts: ExemptionFacts) -> Why:
    return Why.HOLDS if facts.corporate_process else Why.NOT_CORPORATE


def _trusted(facts: ExemptionFacts) -> Why:
    return Why.HOLDS if facts.trusted_by_customer else Why.NOT_TRUSTED


def _low_value(facts: ExemptionFacts) -> Why:
    """The issuer counts total or number, whichever it chose, and may count this payment: we both.

    A mirror that is stricter than the issuer's own counter asks for nothing that it refuses.
    """
    if facts.eur_cents is None:
        return Why.RATE_UNKNOWN
    if facts.eur_cents > LOW_VALUE_MAX_EUR_CENTS:
        return Why.AMOUNT_TOO_HIGH
    if facts.counters is None:
        return Why.COUNTERS_UNKNOWN
    if facts.counters.total_eur_cents + facts.eur_cents > LOW_VALUE_TOTAL_MAX_EUR_CENTS:
        return Why.COUNTER_TOTAL_REACHED
    if facts.counters.payments + 1 > LOW_VALUE_PAYMENTS_MAX_COUNT:
        return Why.COUNTER_NUMBER_REACHED
    return Why.HOLDS


def _transaction_risk(facts: ExemptionFacts) -> Why:
    acquirer = facts.acquirer_risk
    if acquirer is None or not acquirer.contracted:
        return Why.NOT_CONTRACTED
    if facts.merchant_category_code in GAMBLING and not acquirer.gambling_contracted:
        return Why.GAMBLING_NOT_CONTRACTED
    if facts.eur_cents is None:
        return Why.RATE_UNKNOWN
    if acquirer.fraud_rate_ppm is None:
        return Why.FRAUD_RATE_UNKNOWN
    limit = tra_limit_eur_cents(acquirer)
    if not limit:
        return Why.FRAUD_RATE_TOO_HIGH
    if facts.eur_cents > limit:
        return Why.AMOUNT_TOO_HIGH
    return Why.HOLDS if facts.risk_is_low else Why.RISK_NOT_LOW


def tra_limit_eur_cents(acquirer: AcquirerRisk) -> int:
    """The highest amount that the acquirer's fraud rate and contract allow; 0 for none."""
    if acquirer.fraud_rate_ppm is None:
        return 0
    allowed = next((most for rate, most in TRA_TIERS if acquirer.fraud_rate_ppm <= rate), 0)
    return min(allowed, acquirer.limit_eur_cents) if acquirer.limit_eur_cents else allowed


# What the issuer or its customer has decided itself comes first; our own analysis last.
_RULES: Final[dict[Exemption, Callable[[ExemptionFacts], Why]]] = {
    Exemption.RECURRING: _recurring,
    Exemption.SECURE_CORPORATE: _corporate,
    Exemption.TRUSTED_BENEFICIARY: _trusted,
    Exemption.LOW_VALUE: _low_value,
    Exemption.TRANSACTION_RISK: _transaction_risk,
}


def counted(counters: Counters, eur_cents: int, *, strongly_authenticated: bool) -> Counters:
    """The mirror after an authorized payment; only a real strong authentication resets it."""
    if strongly_authenticated:
        return Counters(payments=0, total_eur_cents=0)
    return Counters(counters.payments + 1, counters.total_eur_cents + eur_cents)


# EMV 3-D Secure `threeDSRequestorChallengeInd` of an exemption, and from which version of the
# protocol. Where the version is older, or there is no value for it, we ask for no challenge (02).
INDICATORS: Final[dict[Exemption, tuple[str, tuple[int, int]]]] = {
    Exemption.TRANSACTION_RISK: ("05", (2, 2)),
    Exemption.TRUSTED_BENEFICIARY: ("08", (2, 2)),
    Exemption.LOW_VALUE: ("10", (2, 3)),
    Exemption.SECURE_CORPORATE: ("11", (2, 3)),
}
NO_CHALLENGE_WANTED: Final = "02"


def indicator(exemption: Exemption, version: str) -> str:
    """What the AReq says in this version of the protocol ("2.2.0")."""
    code, since = INDICATORS.get(exemption, (NO_CHALLENGE_WANTED, (0, 0)))
    told = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return code if told >= since else NO_CHALLENGE_WANTED
