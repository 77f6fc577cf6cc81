"""What a card token makes happen in 3-D Secure, and what an issuer answers for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

SCRIPT_MAX_MS = 600_000
DS_TIMEOUT_MS = 10_000  # how long a directory server is waited for, by EMV 3DS 2.2 §5.5
PREFIX = "tok_3ds_"


class Scheme(StrEnum):
    """Whose card it is: the ECI depends on it."""

    VISA = "visa"
    MASTERCARD = "mastercard"
    AMEX = "amex"


class Case(StrEnum):
    """One row of the table of card tokens in the README."""

    FRICTIONLESS = "frictionless"
    ATTEMPT = "attempt"
    CHALLENGE = "challenge"
    EXEMPT = "exempt"
    DENIED = "denied"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    UNAVAILABLE_ONCE = "unavailable_once"
    INFORMATIONAL = "informational"
    DECOUPLED = "decoupled"
    DECOUPLED_APPROVE = "decoupled_approve"
    DECOUPLED_DENY = "decoupled_deny"
    DECOUPLED_TIMEOUT = "decoupled_timeout"
    METHOD = "method"
    METHOD_SLOW = "method_slow"
    METHOD_DEAD = "method_dead"
    NOT_ENROLLED = "not_enrolled"
    VERSIONING_SLOW = "versioning_slow"
    AREQ_TIMEOUT = "areq_timeout"
    ERROR = "error"
    ERROR_ONCE = "error_once"
    CHALLENGE_SLOW = "challenge_slow"
    CHALLENGE_DEAD = "challenge_dead"
    CHALLENGE_ERROR = "challenge_error"
    CANCEL = "cancel"
    LATE = "late"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    WRONG_ECI = "wrong_eci"
    NO_VALUE = "no_value"


_WITH_REASON = {Case.DENIED, Case.REJECTED, Case.UNAVAILABLE}
_WITH_MS = {
    Case.DECOUPLED_APPROVE,
    Case.DECOUPLED_DENY,
    Case.DECOUPLED_TIMEOUT,
    Case.METHOD_SLOW,
    Case.VERSIONING_SLOW,
    Case.CHALLENGE_SLOW,
    Case.LATE,
    Case.AREQ_TIMEOUT,
}
METHOD_CASES = {Case.METHOD, Case.METHOD_SLOW, Case.METHOD_DEAD}
# What an ACS or an SDK may say about a challenge that nobody completed. 02, 07 and 09 are not used.
CANCEL_CODES = ("01", "03", "04", "05", "06", "08")
_PARTS = re.compile(r"([a-z_]*?[a-z])(?:_([0-9]{2}))?(?:_([0-9]{1,6}))?")
_TIMED = re.compile(r"([a-z_]*?[a-z])_([0-9]{1,6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardScript:
    """A card's behaviour; `code` is a reason or a cancel code, empty where the case has its own."""

    case: Case = Case.FRICTIONLESS
    scheme: Scheme = Scheme.VISA
    code: str = ""
    wait_ms: int = 0


def card_script_of(token: str) -> CardScript | None:
    """Return the script of a `tok_3ds_…` token, label left out; None if the table has none."""
    name = token.partition(".")[0]
    if not name.startswith(PREFIX):
        return None
    name, scheme = _scheme_of(name.removeprefix(PREFIX))
    timed = _TIMED.fullmatch(name)
    if timed and timed[1] in _WITH_MS:
        return _checked(Case(timed[1]), scheme, "", int(timed[2]))
    parts = _PARTS.fullmatch(name)
    if parts is None or parts[1] not in list(Case):
        return None
    case, code, wait_ms = Case(parts[1]), parts[2] or "", int(parts[3] or 0)
    if case is Case.AREQ_TIMEOUT and name == case:
        return _checked(case, scheme, "", DS_TIMEOUT_MS)
    good = {
        Case.CANCEL: code in CANCEL_CODES,
        **dict.fromkeys(_WITH_REASON, is_reason(code or "01") and not wait_ms),
        **dict.fromkeys(_WITH_MS, False),
    }
    return _checked(case, scheme, code, wait_ms) if good.get(case, parts[2] is None) else None


def is_reason(code: str) -> bool:
    """Whether a transStatusReason is one of EMV's (01 to 26) or a scheme's own (80 to 99)."""
    return bool(re.fullmatch("0[1-9]|1[0-9]|2[0-6]|[89][0-9]", code))


def _scheme_of(name: str) -> tuple[str, Scheme]:
    for scheme in Scheme:
        if name.endswith(f"_{scheme}"):
            return name.removesuffix(f"_{scheme}"), scheme
    return name, Scheme.VISA


def _checked(case: Case, scheme: Scheme, code: str, wait_ms: int) -> CardScript | None:
    takes_time = case in _WITH_MS or case is Case.CANCEL
    if wait_ms > SCRIPT_MAX_MS or (wait_ms and not takes_time):
        return None
    return CardScript(case=case, scheme=scheme, code=code, wait_ms=wait_ms)
