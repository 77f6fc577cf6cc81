"""One line of the ledger: everything else is computed from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What happened."""

    CHARGE = "charge"
    CAPTURE = "capture"
    VOID = "void"
    RESOLVE = "resolve"
    REFUND = "refund"
    EXTERNAL_REFUND = "external_refund"
    CHARGEBACK = "chargeback"
    PAYOUT = "payout"
    KEY_CLOSED = "key_closed"
    SETTLEMENT = "settlement"
    INTENT = "intent"
    INTENT_CANCELED = "intent_canceled"
    KEY_FAILED = "key_failed"
    DISPUTE_EVIDENCE = "dispute_evidence"
    DISPUTE_CLOSED = "dispute_closed"
    ENDPOINT = "endpoint"
    ENDPOINT_GONE = "endpoint_gone"
    # A capture, void or refund that was taken, and refused when nobody waited for the answer.
    MODIFICATION_REFUSED = "modification_refused"
    # What had succeeded fails at the bank, and the money goes back.
    CAPTURE_FAILED = "capture_failed"
    REFUND_FAILED = "refund_failed"
    PAYOUT_FAILED = "payout_failed"
    # The payer's bank asks about a charge; nothing moves.
    INFORMATION_REQUESTED = "information_requested"
    # What the merchant had won is taken back again.
    DISPUTE_AGAIN = "dispute_again"
    # The payer's bank tells the scheme of fraud; no dispute, and nothing moves.
    FRAUD_REPORTED = "fraud_reported"
    # The vault keeps, forgets and exchanges tokens.
    TOKEN = "token"  # noqa: S105  a kind, not a secret
    TOKEN_GONE = "token_gone"  # noqa: S105
    TOKEN_EXCHANGED = "token_exchanged"  # noqa: S105
    # A bank keeps a token of an account, takes a file, is told what will become of an entry, has
    # something to tell of one beside its settlement or return, and issues a report.
    BANK_TOKEN = "bank_token"  # noqa: S105
    ACH_FILE = "ach_file"
    ACH_PLAN = "ach_plan"
    ACH_TOLD = "ach_told"
    ACH_REPORT = "ach_report"
    # 3-D Secure: begun, asked (AReq and ARes), what happens on the challenge page, the result.
    AUTHENTICATION = "authentication"
    AUTHENTICATION_ASKED = "authentication_asked"
    AUTHENTICATION_STEP = "authentication_step"
    AUTHENTICATION_RESULT = "authentication_result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry before it has a place and a time; `moved` (signed) and `fee` in minor units."""

    account: str
    kind: Kind
    id: str
    charge: str | None = None
    key: str | None = None
    reference: str | None = None
    currency: str | None = None
    moved: int = 0
    fee: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Draft):
    """What happened, where in the order (`seq`, from 1) and when (`at`, RFC 3339 UTC)."""

    seq: int
    at: str

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as it stands in the file."""
        return {
            "seq": self.seq,
            "at": self.at,
            "account": self.account,
            "kind": self.kind,
            "id": self.id,
            "charge": self.charge,
            "key": self.key,
            "reference": self.reference,
            "currency": self.currency,
            "moved": self.moved,
            "fee": self.fee,
            "detail": self.detail,
        }


def entry_from(line: Mapping[str, Any]) -> Entry:
    """Return the entry of one line; KeyError, TypeError or ValueError if it is not one."""
    return Entry(**{**line, "kind": Kind(line["kind"])})


def placed(draft: Draft, *, seq: int, at: str) -> Entry:
    """Return the draft with its place and time."""
    return Entry(
        seq=seq,
        at=at,
        account=draft.account,
        kind=draft.kind,
        id=draft.id,
        charge=draft.charge,
        key=draft.key,
        reference=draft.reference,
        currency=draft.currency,
        moved=draft.moved,
        fee=draft.fee,
        detail=draft.detail,
    )
