"""What entries about disputes change in a book."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cashier_sandbox.domain.dispute import Chargeback, DisputeStage, DisputeStatus
from cashier_sandbox.domain.entry import Entry, Kind

if TYPE_CHECKING:
    from cashier_sandbox.domain.book import Book


def _asked(book: Book, entry: Entry) -> None:
    book.chargebacks[entry.id] = _opened(book, entry, DisputeStage.INQUIRY)


def _charged_back(book: Book, entry: Entry) -> None:
    known = book.chargebacks.get(entry.id)
    if known is None:
        known = _opened(book, entry, DisputeStage.CHARGEBACK)
    _taken(book, entry, replace(known, stage=DisputeStage.CHARGEBACK, amount=-entry.moved))


def _again(book: Book, entry: Entry) -> None:
    known = book.chargebacks[entry.id]
    _taken(book, entry, replace(known, stage=DisputeStage.SECOND_CHARGEBACK))


def _evidence(book: Book, entry: Entry) -> None:
    dispute, detail = book.chargebacks[entry.id], entry.detail
    submitted = detail["submitted"]
    book.chargebacks[entry.id] = replace(
        dispute,
        evidence={**dispute.evidence, **detail["evidence"]},
        metadata={**dispute.metadata, **detail["metadata"]},
        submissions=dispute.submissions + submitted,
        status=DisputeStatus.UNDER_REVIEW if submitted else dispute.status,
    )


def _closed(book: Book, entry: Entry) -> None:
    dispute = book.chargebacks[entry.id]
    status = DisputeStatus(entry.detail["status"])
    book.chargebacks[entry.id] = replace(
        dispute, status=status, moves=dispute.moves + bool(entry.moved)
    )
    _take_back(book, dispute.charge, -entry.moved)


def _opened(book: Book, entry: Entry, stage: DisputeStage) -> Chargeback:
    charge = book.charges[entry.charge or ""]
    return Chargeback(
        id=entry.id,
        charge=charge.id,
        amount=entry.detail.get("amount", -entry.moved),
        fee=0,
        currency=charge.currency,
        reason=entry.detail["reason"],
        reference=charge.reference,
        created_at=entry.at,
        stage=stage,
        staged_at=entry.at,
    )


def _taken(book: Book, entry: Entry, dispute: Chargeback) -> None:
    """Money is gone, with the penalty, and the merchant may answer anew."""
    _take_back(book, dispute.charge, -entry.moved)
    book.chargebacks[entry.id] = replace(
        dispute,
        status=DisputeStatus.NEEDS_RESPONSE,
        fee=dispute.fee + entry.fee,
        moves=dispute.moves + 1,
        staged_at=entry.at,
    )


def _take_back(book: Book, charge_id: str, amount: int) -> None:
    charge = book.charges[charge_id]
    taken = charge.amount_charged_back + amount
    book.charges[charge_id] = replace(charge, amount_charged_back=taken)


DISPUTES: dict[Kind, Callable[[Book, Entry], None]] = {
    Kind.INFORMATION_REQUESTED: _asked,
    Kind.CHARGEBACK: _charged_back,
    Kind.DISPUTE_AGAIN: _again,
    Kind.DISPUTE_EVIDENCE: _evidence,
    Kind.DISPUTE_CLOSED: _closed,
}
