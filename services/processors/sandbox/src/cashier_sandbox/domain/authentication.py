"""One authentication of a cardholder: what was asked, what the issuer found, what comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from cashier_sandbox.domain.card_script import CardScript, Scheme, card_script_of
from cashier_sandbox.domain.entry import Entry, Kind

if TYPE_CHECKING:
    from cashier_sandbox.domain.book import Book


class TransStatus(StrEnum):
    """EMV's transStatus."""

    AUTHENTICATED = "Y"
    ATTEMPTED = "A"
    CHALLENGE = "C"
    DECOUPLED = "D"
    INFORMATIONAL = "I"
    DENIED = "N"
    REJECTED = "R"
    UNAVAILABLE = "U"


S = TransStatus
OPEN = {S.CHALLENGE, S.DECOUPLED}
# What an RReq may say.
FINAL = (S.AUTHENTICATED, S.ATTEMPTED, S.DENIED, S.REJECTED, S.UNAVAILABLE)
# transStatus → ECI at Visa and American Express, at Mastercard.
_ECI: dict[TransStatus, tuple[str, str]] = {
    S.AUTHENTICATED: ("05", "02"),
    S.ATTEMPTED: ("06", "01"),
    S.INFORMATIONAL: ("07", "06"),
    S.DENIED: ("07", "00"),
    S.REJECTED: ("07", "00"),
    S.UNAVAILABLE: ("07", "00"),
}
MASTERCARD_DATA_ONLY_ECI = "04"
_WITH_VALUE = {S.AUTHENTICATED, S.ATTEMPTED, S.INFORMATIONAL}


def eci_of(status: TransStatus, scheme: Scheme, *, data_only: bool = False) -> str:
    """Return the ECI that goes with a status at a scheme; empty while it is open."""
    if data_only and scheme is Scheme.MASTERCARD:
        return MASTERCARD_DATA_ONLY_ECI
    pair = _ECI.get(status, ("", ""))
    return pair[1] if scheme is Scheme.MASTERCARD else pair[0]


def has_value(status: TransStatus) -> bool:
    """Whether a cryptogram (CAVV, AAV, AEVV) goes with a status."""
    return status in _WITH_VALUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an issuer says; `error` is EMV's error code where it says nothing (an Erro message)."""

    status: str = ""
    reason: str = ""
    cancel: str = ""
    eci: str = ""
    value: str = ""
    error: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the answer is still to come."""
        return self.status in OPEN

    def as_dict(self) -> dict[str, str]:
        """Return what is not empty, as it stands in the ledger."""
        facts = {name: getattr(self, name) for name in Finding.__dataclass_fields__}
        return {name: value for name, value in facts.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What happens by itself at a time (epoch, ms) unless something else comes before."""

    at_ms: int
    finding: Finding

    def as_dict(self) -> dict[str, Any]:
        """Return it as it stands in the ledger."""
        return {"at_ms": self.at_ms, "finding": self.finding.as_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """An authentication by its threeDSServerTransID; `asked` is the AReq's part that is kept."""

    id: str
    card: str
    created_at: str
    acs_id: str = ""
    ds_id: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)
    answered: Finding | None = None
    result: Finding | None = None
    result_at: str = ""
    results: int = 0
    due: Due | None = None
    session_data: str | None = None
    # The result that a CRes has told the merchant's page, which may be ahead of the RReq.
    shown: Finding | None = None

    @property
    def script(self) -> CardScript:
        """How the card behaves; an ordinary token of the sandbox is frictionless."""
        return card_script_of(self.card) or CardScript()

    @property
    def finding(self) -> Finding | None:
        """What is known now: the first result, else the answer to the AReq."""
        return self.result or self.answered

    @property
    def is_open(self) -> bool:
        """Whether it waits for a result."""
        return self.result is None and self.answered is not None and self.answered.is_open


def stable_uuid(seed: int, *parts: str) -> str:
    """Return a UUID, the same for the same seed and parts: EMV's transaction ids are UUIDs."""
    raw = bytearray(blake2b("\x1f".join((str(seed), *parts)).encode(), digest_size=16).digest())
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _begun(book: Book, entry: Entry) -> None:
    book.authentications[entry.id] = Authentication(
        id=entry.id, card=entry.detail["card"], created_at=entry.at
    )


def _asked(book: Book, entry: Entry) -> None:
    detail = entry.detail
    after = replace(
        book.authentications[entry.id],
        acs_id=detail["acs_id"],
        ds_id=detail["ds_id"],
        asked=detail["asked"],
        answered=Finding(**detail["finding"]),
        due=_due(detail),
    )
    book.authentications[entry.id] = after
    book.challenges[after.acs_id] = entry.id
    if not after.is_open:
        book.authentications[entry.id] = replace(after, result_at=entry.at)


def _stepped(book: Book, entry: Entry) -> None:
    before, detail = book.authentications[entry.id], entry.detail
    shown = detail.get("shown")
    book.authentications[entry.id] = replace(
        before,
        session_data=detail.get("session_data", before.session_data),
        shown=Finding(**shown) if shown else before.shown,
        due=_due(detail),
    )


def _concluded(book: Book, entry: Entry) -> None:
    before = book.authentications[entry.id]
    after = replace(before, results=before.results + 1, due=None)
    if before.is_open:
        after = replace(after, result=Finding(**entry.detail["finding"]), result_at=entry.at)
    book.authentications[entry.id] = after


def _due(detail: Mapping[str, Any]) -> Due | None:
    due = detail.get("due")
    return Due(at_ms=due["at_ms"], finding=Finding(**due["finding"])) if due else None


AUTHENTICATION_FOLD: dict[Kind, Callable[[Book, Entry], None]] = {
    Kind.AUTHENTICATION: _begun,
    Kind.AUTHENTICATION_ASKED: _asked,
    Kind.AUTHENTICATION_STEP: _stepped,
    Kind.AUTHENTICATION_RESULT: _concluded,
}
