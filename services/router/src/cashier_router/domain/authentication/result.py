"""What the issuer says about a customer, as it stands in an ARes, an RReq or a fetched result."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from cashier_router.domain.authentication.lifecycle import AuthenticationEvent


class Status(StrEnum):
    """EMV 3-D Secure `transStatus`."""

    AUTHENTICATED = "Y"
    ATTEMPTED = "A"
    CHALLENGE = "C"
    DECOUPLED = "D"
    INFORMATIONAL = "I"
    NOT_AUTHENTICATED = "N"
    REJECTED = "R"
    UNAVAILABLE = "U"


class Cancel(StrEnum):
    """EMV 3-D Secure `challengeCancel`."""

    CARDHOLDER = "01"
    REQUESTOR = "02"
    DECOUPLED_TIMED_OUT = "03"
    ACS_TIMED_OUT = "04"
    NEVER_BEGUN = "05"  # the first CReq never came
    ERROR = "06"
    UNKNOWN = "07"  # also every code that this version does not know
    SDK_TIMED_OUT = "08"


class Source(StrEnum):
    """Which server said it. A browser is none of these: it brings no result."""

    ANSWER = "answer"  # ARes
    REQUEST = "request"  # RReq
    FETCH = "fetch"  # we asked for the result
    PROCESSOR = "processor"  # a processor that authenticates by itself


@dataclass(frozen=True, slots=True)
class Cryptogram:
    """Where the CAVV lies: a secret that is used once and that the domain never sees.

    `reference` is empty where the processor keeps it to itself; `digest` is its SHA-256, and tells
    whether two results carry the same.
    """

    reference: str
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One message; empty words were not said.

    `transaction` is our own name of the try, which its request carried as key; `server_transaction`
    is the threeDSServerTransID that the 3-D Secure server gave it.
    """

    source: Source
    transaction: str
    status: Status
    eci: str = ""
    server_transaction: str = ""
    cryptogram: Cryptogram | None = None
    acs_transaction: str = ""
    ds_transaction: str = ""
    reason: str = ""  # transStatusReason: 01-26, the scheme's own from 80
    cancel: Cancel | None = None
    exemption_granted: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 over what it says, whoever brought it; no secret goes into it."""
        told = [
            self.transaction, self.server_transaction, self.status, self.eci,
            self.cryptogram.digest if self.cryptogram else "", self.acs_transaction,
            self.ds_transaction, self.reason, self.cancel, self.exemption_granted,
        ]  # fmt: skip
        return hashlib.sha256(orjson.dumps(told)).hexdigest()

    def repeats(self, other: "Result") -> bool:
        """Whether both say the same; what only one of them tells is no contradiction."""
        mine, others = self._decisive, other._decisive  # noqa: SLF001 - of the same class
        return self.status is other.status and all(
            one == another or not one or not another
            for one, another in zip(mine, others, strict=True)
        )

    @property
    def _decisive(self) -> tuple[str, ...]:
        proof = self.cryptogram.digest if self.cryptogram else ""
        return (
            self.transaction, self.server_transaction, self.eci, proof, self.acs_transaction,
            self.ds_transaction, self.cancel or "",
        )  # fmt: skip


_S, _E = Status, AuthenticationEvent
# EMV 3-D Secure: what the first answer (ARes) means, and what a final result (RReq) may be.
ANSWERS: Final[dict[Status, AuthenticationEvent]] = {
    _S.AUTHENTICATED: _E.AUTHENTICATE,
    _S.ATTEMPTED: _E.ATTEMPT,
    _S.CHALLENGE: _E.CHALLENGE,
    _S.DECOUPLED: _E.DECOUPLE,
    _S.INFORMATIONAL: _E.INFORM,
    _S.NOT_AUTHENTICATED: _E.FAIL,
    _S.REJECTED: _E.REJECT,
    _S.UNAVAILABLE: _E.GIVE_UP,
}
FINALS: Final[dict[Status, AuthenticationEvent]] = {
    _S.AUTHENTICATED: _E.AUTHENTICATE,
    _S.ATTEMPTED: _E.ATTEMPT,
    _S.NOT_AUTHENTICATED: _E.FAIL,
    _S.REJECTED: _E.REJECT,
    _S.UNAVAILABLE: _E.GIVE_UP,
}
# Why a challenge ended without a customer; it says more than N or U beside it. Nobody who walked
# away is charged as "could not be performed".
CANCELED: Final[dict[Cancel, AuthenticationEvent]] = {
    Cancel.CARDHOLDER: _E.WALK_AWAY,
    Cancel.DECOUPLED_TIMED_OUT: _E.LAPSE,
    Cancel.ACS_TIMED_OUT: _E.LAPSE,
    Cancel.NEVER_BEGUN: _E.LAPSE,
    Cancel.SDK_TIMED_OUT: _E.LAPSE,
}
_EMPTY_HANDED: Final = frozenset({_S.NOT_AUTHENTICATED, _S.UNAVAILABLE})
_PROVEN: Final = frozenset({_S.AUTHENTICATED, _S.ATTEMPTED})


def contradicts_itself(result: Result) -> bool:
    """Whether it is a proof beside a cancel code, which is believed by nobody."""
    return result.cancel is not None and result.status in _PROVEN


def answer_event(result: Result) -> AuthenticationEvent | None:
    """What a first answer does; None for one that contradicts itself."""
    return None if contradicts_itself(result) else ANSWERS[result.status]


def final_event(result: Result) -> AuthenticationEvent | None:
    """What a final result does; None for one that contradicts itself or is none."""
    if contradicts_itself(result):
        return None
    if result.cancel in CANCELED and result.status in _EMPTY_HANDED:
        return CANCELED[result.cancel]
    return FINALS.get(result.status)
