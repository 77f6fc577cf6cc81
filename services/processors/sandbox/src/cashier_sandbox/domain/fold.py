"""What each kind of ledger entry changes in a book."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cashier_sandbox.domain.authentication import AUTHENTICATION_FOLD
from cashier_sandbox.domain.charge import Capture, Charge, Payout, Refund, Resource, Status
from cashier_sandbox.domain.conditions import Operation
from cashier_sandbox.domain.entry import Entry, Kind
from cashier_sandbox.domain.fold_disputes import DISPUTES
from cashier_sandbox.domain.intent import Intent
from cashier_sandbox.domain.notice import Endpoint
from cashier_sandbox.domain.vault_token import VaultToken

if TYPE_CHECKING:
    from cashier_sandbox.domain.book import Book


def _open(book: Book, entry: Entry, resource: Resource | Intent, operation: Operation) -> None:
    book.by_reference[operation, resource.reference].append(resource.id)
    if "due_ms" in entry.detail:
        book.due[resource.id] = (entry.detail["due_ms"], entry.detail["due_decline"])


def _charge(book: Book, entry: Entry) -> None:
    detail = entry.detail
    charge = Charge(
        id=entry.id,
        status=Status(detail["status"]),
        amount=detail["amount"],
        currency=entry.currency or "",
        token=detail["token"],
        reference=entry.reference or "",
        capture=detail["capture"],
        metadata=detail["metadata"],
        created_at=entry.at,
        decline=detail["decline"],
        amount_captured=entry.moved,
        fee=entry.fee,
        intent=detail.get("intent", {}).get("id", ""),
    )
    book.charges[charge.id] = charge
    _open(book, entry, charge, Operation.CHARGE)
    if charge.intent:
        _try_intent(book, entry, charge)


def _try_intent(book: Book, entry: Entry, charge: Charge) -> None:
    """The confirmation of an intent, which the same entry may have made."""
    said = dict(entry.detail["intent"])
    known = book.intents.get(charge.intent)
    if known is None:
        known = Intent(**said, created_at=entry.at)
        _open(book, entry, known, Operation.INTENT)
    else:
        known = replace(known, **said)
    book.intents[known.id] = replace(known, charge=charge.id)


def _capture(book: Book, entry: Entry) -> None:
    capture = Capture(
        id=entry.id,
        amount=entry.moved,
        reference=entry.reference or "",
        created_at=entry.at,
    )
    before = book.charges[entry.charge or ""]
    after = before.with_capture(capture, fee=entry.fee, final=entry.detail["final"])
    book.charges[after.id] = after
    if metadata := entry.detail.get("metadata"):
        intent = book.intents[after.intent]
        book.intents[intent.id] = replace(intent, metadata=metadata)


def _void(book: Book, entry: Entry) -> None:
    after = book.charges[entry.charge or ""].without_rest()
    book.charges[after.id] = after
    if after.intent:
        _cancel(book, entry, after.intent)


def _intent(book: Book, entry: Entry) -> None:
    intent = Intent(**entry.detail["intent"], created_at=entry.at)
    book.intents[intent.id] = intent
    _open(book, entry, intent, Operation.INTENT)


def _intent_canceled(book: Book, entry: Entry) -> None:
    _cancel(book, entry, entry.id)


def _cancel(book: Book, entry: Entry, name: str) -> None:
    book.intents[name] = replace(
        book.intents[name], canceled_at=entry.at, cancel_reason=entry.detail.get("reason", "")
    )


def _resolve(book: Book, entry: Entry) -> None:
    book.due.pop(entry.id, None)
    code = entry.detail["decline"]
    status = Status.SUCCEEDED if code is None else Status.DECLINED
    if charge := book.charges.get(entry.id):
        book.charges[entry.id] = charge.resolved(code=code, fee=entry.fee)
    elif refund := book.refunds.get(entry.id):
        book.refunds[entry.id] = replace(refund, status=status, decline=code)
        _give_back(book, refund.charge, pending=-refund.amount, done=-entry.moved)
    else:
        payout = book.payouts[entry.id]
        book.payouts[entry.id] = replace(payout, status=status, decline=code, fee=entry.fee)


def _refund(book: Book, entry: Entry) -> None:
    detail = entry.detail
    refund = Refund(
        id=entry.id,
        status=Status(detail["status"]),
        charge=entry.charge or "",
        amount=detail["amount"],
        currency=entry.currency or "",
        reference=entry.reference or "",
        metadata=detail["metadata"],
        created_at=entry.at,
        decline=detail["decline"],
        external=entry.kind is Kind.EXTERNAL_REFUND,
        reason=detail.get("reason", ""),
    )
    book.refunds[refund.id] = refund
    pending = refund.amount if refund.status is Status.PENDING else 0
    _give_back(book, refund.charge, pending=pending, done=-entry.moved)
    _open(book, entry, refund, Operation.REFUND)


def _give_back(book: Book, charge_id: str, *, pending: int, done: int) -> None:
    charge = book.charges[charge_id]
    book.charges[charge_id] = replace(
        charge,
        amount_refunded=charge.amount_refunded + done,
        amount_refund_pending=charge.amount_refund_pending + pending,
    )


def _payout(book: Book, entry: Entry) -> None:
    detail = entry.detail
    payout = Payout(
        id=entry.id,
        status=Status(detail["status"]),
        amount=detail["amount"],
        currency=entry.currency or "",
        destination=detail["token"],
        reference=entry.reference or "",
        metadata=detail["metadata"],
        created_at=entry.at,
        decline=detail["decline"],
        fee=entry.fee,
    )
    book.payouts[payout.id] = payout
    _open(book, entry, payout, Operation.PAYOUT)


def _key_closed(book: Book, entry: Entry) -> None:
    book.closed.add(entry.key or "")


def _key_failed(book: Book, entry: Entry) -> None:
    book.failed[entry.key or ""] = entry.detail


def _settlement(book: Book, entry: Entry) -> None:
    for movement in book.movements[book.settled_count : entry.detail["movements_to"]]:
        book.totals[movement.currency].settled += movement.amount - movement.fee
    book.settled_count = entry.detail["movements_to"]
    book.settlements.append(entry)


def _endpoint(book: Book, entry: Entry) -> None:
    detail = entry.detail
    book.endpoints[entry.id] = Endpoint(
        id=entry.id,
        url=detail["url"],
        secret=detail["secret"],
        types=tuple(detail["types"]),
        created_at=entry.at,
    )


def _endpoint_gone(book: Book, entry: Entry) -> None:
    del book.endpoints[entry.id]


def _nothing(_book: Book, _entry: Entry) -> None:
    """It is told, and changes nothing."""


def _capture_failed(book: Book, entry: Entry) -> None:
    book.failed_later.add(entry.id)
    charge = book.charges[entry.charge or ""]
    book.charges[charge.id] = replace(
        charge,
        amount_captured=charge.amount_captured + entry.moved,
        fee=charge.fee + entry.fee,
        captures=tuple(capture for capture in charge.captures if capture.id != entry.id),
    )


def _refund_failed(book: Book, entry: Entry) -> None:
    book.failed_later.add(entry.id)
    refund = book.refunds[entry.id]
    book.refunds[entry.id] = replace(refund, status=Status.DECLINED, decline=entry.detail["code"])
    _give_back(book, refund.charge, pending=0, done=-entry.moved)


def _payout_failed(book: Book, entry: Entry) -> None:
    book.failed_later.add(entry.id)
    payout = book.payouts[entry.id]
    book.payouts[entry.id] = replace(payout, status=Status.DECLINED, decline=entry.detail["code"])


def _token(book: Book, entry: Entry) -> None:
    book.vault[entry.id] = VaultToken(id=entry.id, alias=entry.detail["alias"], created_at=entry.at)


def _token_gone(book: Book, entry: Entry) -> None:
    del book.vault[entry.id]


FOLD: dict[Kind, Callable[[Book, Entry], None]] = {
    Kind.CHARGE: _charge,
    Kind.CAPTURE: _capture,
    Kind.VOID: _void,
    Kind.RESOLVE: _resolve,
    Kind.REFUND: _refund,
    Kind.EXTERNAL_REFUND: _refund,
    Kind.PAYOUT: _payout,
    Kind.KEY_CLOSED: _key_closed,
    Kind.SETTLEMENT: _settlement,
    Kind.INTENT: _intent,
    Kind.INTENT_CANCELED: _intent_canceled,
    Kind.KEY_FAILED: _key_failed,
    Kind.ENDPOINT: _endpoint,
    Kind.ENDPOINT_GONE: _endpoint_gone,
    Kind.MODIFICATION_REFUSED: _nothing,
    Kind.CAPTURE_FAILED: _capture_failed,
    Kind.REFUND_FAILED: _refund_failed,
    Kind.PAYOUT_FAILED: _payout_failed,
    Kind.FRAUD_REPORTED: _nothing,
    **DISPUTES,
    Kind.TOKEN: _token,
    Kind.TOKEN_GONE: _token_gone,
    Kind.TOKEN_EXCHANGED: _nothing,
    **AUTHENTICATION_FOLD,
}
