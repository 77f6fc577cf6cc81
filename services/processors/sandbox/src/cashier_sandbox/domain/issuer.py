"""How an issuer answers an authentication request: a pure table over the card and the request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import blake2b

from cashier_sandbox.domain.authentication import (
    Finding,
    TransStatus,
    eci_of,
    has_value,
)
from cashier_sandbox.domain.card_script import METHOD_CASES, CardScript, Case, Scheme

S = TransStatus
VALUE_BYTES = 20  # CAVV and AEVV by the schemes' rules; base64 makes 28 characters
# An AAV of 2.x begins with k, which is what its first byte is for.
AAV_FIRST_BYTE = 0x90
# threeDSRequestorChallengeInd by EMV 3DS 2.2.
MANDATED = "04"
DATA_ONLY = "06"
EXEMPTION_ASKED = {"05", "07", "08"}  # risk analysis done, authenticated before, trusted list
_ERROR_TIMED_OUT, _ERROR_PERMANENT = "402", "404"
_PLAIN: dict[Case, tuple[TransStatus, str]] = {
    Case.ATTEMPT: (S.ATTEMPTED, ""),
    Case.DENIED: (S.DENIED, "01"),
    Case.REJECTED: (S.REJECTED, "11"),
    Case.UNAVAILABLE: (S.UNAVAILABLE, "22"),
    Case.INFORMATIONAL: (S.INFORMATIONAL, ""),
    Case.NOT_ENROLLED: (S.UNAVAILABLE, "08"),
}
_DECOUPLED = {
    Case.DECOUPLED,
    Case.DECOUPLED_APPROVE,
    Case.DECOUPLED_DENY,
    Case.DECOUPLED_TIMEOUT,
}


def finding(
    status: TransStatus,
    scheme: Scheme,
    proof_of: str,
    *,
    reason: str = "",
    cancel: str = "",
    data_only: bool = False,
) -> Finding:
    """Return a finding with the ECI and cryptogram that the scheme gives it.

    `proof_of` names the authentication, so that each has a cryptogram of its own.
    """
    return Finding(
        status=status,
        reason=reason,
        cancel=cancel,
        eci=eci_of(status, scheme, data_only=data_only),
        value=_value(f"{proof_of}\x1f{status}", scheme) if has_value(status) else "",
    )


def answer_of(
    script: CardScript, asked: Mapping[str, str], proof_of: str, *, tried_before: bool
) -> Finding:
    """Return what the ARes says; `tried_before`: the same token was asked about already."""
    case, scheme = script.case, script.scheme
    wish = asked.get("threeDSRequestorChallengeInd", "")
    if case is Case.AREQ_TIMEOUT:
        return Finding(error=_ERROR_TIMED_OUT)
    if case is Case.ERROR or (case is Case.ERROR_ONCE and not tried_before):
        return Finding(error=_ERROR_PERMANENT)
    if case is Case.UNAVAILABLE_ONCE and not tried_before:
        case = Case.UNAVAILABLE
    if case in _PLAIN:
        status, reason = _PLAIN[case]
        data_only = status is S.INFORMATIONAL and wish == DATA_ONLY
        return finding(status, scheme, proof_of, reason=script.code or reason, data_only=data_only)
    status = _status(case, asked, wish)
    found = finding(
        status, scheme, proof_of, data_only=wish == DATA_ONLY and status is S.INFORMATIONAL
    )
    return twisted(found, script)


def twisted(found: Finding, script: CardScript) -> Finding:
    """Return a success as a card tells it that breaks the table: another ECI, or no cryptogram."""
    if found.status != S.AUTHENTICATED:
        return found
    if script.case is Case.WRONG_ECI:
        return _replaced(found, eci=eci_of(S.UNAVAILABLE, script.scheme))
    if script.case is Case.NO_VALUE:
        return _replaced(found, value="")
    return found


def _status(case: Case, asked: Mapping[str, str], wish: str) -> TransStatus:
    mandated = wish == MANDATED
    if case in _DECOUPLED:
        return S.DECOUPLED if asked.get("threeDSRequestorDecReqInd") == "Y" else S.CHALLENGE
    if case in METHOD_CASES:
        known = asked.get("threeDSCompInd") == "Y" and not mandated
        return S.AUTHENTICATED if known else S.CHALLENGE
    if case is Case.EXEMPT:
        granted = wish in EXEMPTION_ASKED or wish == DATA_ONLY
        return S.INFORMATIONAL if granted else S.CHALLENGE
    if case in _FRICTIONLESS:
        return S.CHALLENGE if mandated else S.AUTHENTICATED
    return S.CHALLENGE


_FRICTIONLESS = {
    Case.FRICTIONLESS,
    Case.VERSIONING_SLOW,
    Case.UNAVAILABLE_ONCE,
    Case.ERROR_ONCE,
    Case.WRONG_ECI,
    Case.NO_VALUE,
}


def _replaced(found: Finding, **changes: str) -> Finding:
    return Finding(**{**found.as_dict(), **changes})


def _value(proof_of: str, scheme: Scheme) -> str:
    raw = bytearray(blake2b(proof_of.encode(), digest_size=VALUE_BYTES).digest())
    if scheme is Scheme.MASTERCARD:
        raw[0] = AAV_FIRST_BYTE | raw[0] & 0x03
    return base64.b64encode(raw).decode()
