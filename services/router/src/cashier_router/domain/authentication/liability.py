"""Who answers for fraud after an authentication: one literal table, and doubt is the merchant's."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cashier_router.domain.authentication.result import Result, Status


class Network(StrEnum):
    """A card scheme that we know the table of."""

    VISA = "visa"
    AMEX = "amex"
    MASTERCARD = "mastercard"
    MAESTRO = "maestro"
    CARTES_BANCAIRES = "cartes_bancaires"
    JCB = "jcb"
    DISCOVER = "discover"
    DINERS = "diners"
    UNIONPAY = "unionpay"
    ELO = "elo"


class Party(StrEnum):
    """Who answers for fraud."""

    ISSUER = "issuer"
    MERCHANT = "merchant"


class Grounds(StrEnum):
    """Why it is this party."""

    AUTHENTICATED = "authenticated"
    ATTEMPTED = "attempted"
    NOT_AUTHENTICATED = "not_authenticated"
    INFORMATIONAL = "informational"
    EXEMPTED = "exempted"
    NO_RESULT = "no_result"
    NO_CRYPTOGRAM = "no_cryptogram"
    ECI_DISAGREES = "eci_disagrees"  # status and ECI are in no row together
    NETWORK_UNKNOWN = "network_unknown"
    EXCEPTED_BY_SCHEME = "excepted_by_scheme"  # the acquirer's contract knows better


@dataclass(frozen=True, slots=True)
class Liability:
    """Who answers, and why."""

    party: Party
    grounds: Grounds


_VISA: Final = {("Y", "05"): Grounds.AUTHENTICATED, ("A", "06"): Grounds.ATTEMPTED}
_MASTERCARD: Final = {("Y", "02"): Grounds.AUTHENTICATED, ("A", "01"): Grounds.ATTEMPTED}
# Where status and ECI together move liability to the issuer, given a cryptogram; everything that
# stands in no row is the merchant's. Visa and Amex: scheme rules as in Adyen's, Monext's and Trust
# Payments' tables; Mastercard 04 (data only), 06 (acquirer exemption) and 07 (recurring) shift
# nothing (Trust Payments, Judopay). The others carry Visa's values (Checkout.com and Solidgate, ECI
# tables). Cartes Bancaires carries the values of the co-badge, so both columns are its.
SHIFTS: Final[dict[Network, dict[tuple[str, str], Grounds]]] = {
    Network.VISA: _VISA,
    Network.AMEX: _VISA,
    Network.MASTERCARD: _MASTERCARD,
    Network.MAESTRO: _MASTERCARD,
    Network.CARTES_BANCAIRES: _VISA | _MASTERCARD,
    Network.JCB: _VISA,
    Network.DISCOVER: _VISA,
    Network.DINERS: _VISA,
    Network.UNIONPAY: _VISA,
    Network.ELO: _VISA,
}
# Where an exemption that was granted without friction keeps liability here (Monext's table).
EXEMPTION_STAYS: Final = frozenset(
    {Network.CARTES_BANCAIRES, Network.MASTERCARD, Network.MAESTRO}
)  # fmt: skip
_UNPROVEN: Final[dict[Status, Grounds]] = {
    Status.INFORMATIONAL: Grounds.INFORMATIONAL,
    Status.NOT_AUTHENTICATED: Grounds.NOT_AUTHENTICATED,
    Status.REJECTED: Grounds.NOT_AUTHENTICATED,
    Status.UNAVAILABLE: Grounds.NOT_AUTHENTICATED,
    Status.CHALLENGE: Grounds.NO_RESULT,
    Status.DECOUPLED: Grounds.NO_RESULT,
}


def liability(
    network: Network | None,
    result: Result | None,
    *,
    exempted: bool = False,
    excepted: bool = False,
) -> Liability:
    """Who answers for fraud after `result`.

    `exempted`: an exemption was granted, whoever asked. `excepted`: the scheme excepts this card or
    merchant (prepaid, commercial, fraud programme), as the acquirer's contract says.
    """
    if result is None:
        return Liability(Party.MERCHANT, Grounds.EXEMPTED if exempted else Grounds.NO_RESULT)
    unproven = _UNPROVEN.get(result.status)
    if unproven is not None:
        return Liability(Party.MERCHANT, unproven)
    if network is None:
        return Liability(Party.MERCHANT, Grounds.NETWORK_UNKNOWN)
    grounds = SHIFTS[network].get((result.status.value, result.eci))
    if grounds is None:
        return Liability(Party.MERCHANT, Grounds.ECI_DISAGREES)
    if result.cryptogram is None:
        return Liability(Party.MERCHANT, Grounds.NO_CRYPTOGRAM)
    if exempted and network in EXEMPTION_STAYS:
        return Liability(Party.MERCHANT, Grounds.EXEMPTED)
    if excepted:
        return Liability(Party.MERCHANT, Grounds.EXCEPTED_BY_SCHEME)
    return Liability(Party.ISSUER, grounds)


def network_of(brand: str) -> Network | None:
    """The scheme of an instrument's brand; None for one whose table we do not know."""
    try:
        return Network(brand)
    except ValueError:
        return None
