"""Entries for the clearing house: what one is, how it is named, and what a report says of it."""

import hashlib
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cashier_gateway.domain.call import Call, Kind

# The clearing house's field for the originator's own number has 15 characters.
REFERENCE_CHARS: Final = 15
_PREFIXES: Final[Mapping[Kind, str]] = {
    Kind.AUTHORIZE: "ch_",
    Kind.REFUND: "re_",
    Kind.PAYOUT: "po_",
}
ACH_KINDS: Final = frozenset(_PREFIXES)


class EntryState(StrEnum):
    """Where an entry stands on our side."""

    WAITING = "WAITING"  # for the next file
    FILED = "FILED"  # a file with it was written: it cannot be taken back any more
    SETTLED = "SETTLED"  # the bank said so: a return after this takes money back
    REMOVED = "REMOVED"  # taken back before any file, or closed before it was made


class FileState(StrEnum):
    """Where a file stands."""

    WRITTEN = "WRITTEN"
    SENDING = "SENDING"  # it may be at the bank: ask before anything else
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class BankToken:
    """`<routing number>.<C or S>.<token>`, as the bank gives it for an account."""

    routing: str
    is_savings: bool
    account: str


@dataclass(frozen=True, slots=True)
class AchEntry:
    """One debit or credit as it is promised; `returns` is the reference that a refund gives back.

    `trace` is empty until a file has it. No account number is in it: the bank knows the token.
    """

    merchant: str
    operation: str
    account: str
    kind: Kind
    reference: str
    token: str
    amount_minor: int
    state: EntryState = EntryState.WAITING
    returns: str = ""
    trace: str = ""
    file_id: str = ""

    @property
    def is_debit(self) -> bool:
        """Whether it takes money from the customer."""
        return self.kind is Kind.AUTHORIZE


@dataclass(frozen=True, slots=True)
class AchFile:
    """A file as it was written, before anything of it left; `content` never changes."""

    account: str
    file_id: str
    content: bytes
    sha256: bytes
    state: FileState


class Told(StrEnum):
    """What a report says of an entry."""

    SETTLED = "SETTLED"
    RETURNED = "RETURNED"
    CHANGED = "CHANGED"
    DISHONORED = "DISHONORED"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report: which entry, by our reference or its trace, and what became of it.

    `own` tells this line from the others of its report. Corrected data is never part of it.
    """

    told: Told
    reference: str
    trace: str
    own: str
    amount_minor: int
    code: str = ""
    detail: str = ""
    at: datetime | None = None


def entry_reference(kind: Kind, downstream_key: str) -> str:
    """Our number of an entry: the same for the same call, 15 characters, of its kind."""
    digest = hashlib.sha256(downstream_key.encode()).digest()
    return _PREFIXES[kind] + b32encode(digest).decode().lower()[: REFERENCE_CHARS - 3]


def end_to_end_id(downstream_key: str) -> str:
    """The ISO 20022 end-to-end id of a call: at most 35 letters and digits."""
    return "C" + b32encode(hashlib.sha256(downstream_key.encode()).digest()).decode()[:32]


def parse_token(text: str) -> BankToken | None:
    """The parts of a bank token, or None where it is none."""
    routing, _, rest = text.partition(".")
    kind, _, account = rest.partition(".")
    if len(routing) != 9 or not routing.isascii() or not routing.isdigit():  # noqa: PLR2004
        return None
    if kind not in {"C", "S"} or not account or len(account) > 17:  # noqa: PLR2004
        return None
    return BankToken(routing, kind == "S", account)


def entry_of(call: Call) -> AchEntry | None:
    """The entry that a call asks for; None for a kind that has none. A refund's token is empty."""
    request = call.request
    if request is None or request.kind not in ACH_KINDS:
        return None
    return AchEntry(
        merchant=call.merchant,
        operation=call.operation,
        account=call.account,
        kind=request.kind,
        reference=entry_reference(request.kind, call.downstream_key),
        token=request.token,
        amount_minor=call.amount.minor,
        returns=request.authorization_reference if request.kind is Kind.REFUND else "",
    )
