"""Stripe's webhooks: the raw bytes are verified first, and then read as what they are about."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.signature import verify
from cashier_gateway.clients.stripe.units import AmountNotExpressible, from_stripe
from cashier_gateway.clients.stripe.wire import OPERATION_FIELD
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import (
    DisputeNews,
    DisputeStage,
    DisputeState,
    Notice,
    NoticeFault,
    NoticeRefused,
)

HEADER: Final = "Stripe-Signature"
_CARRIES: Final = (Kind.CAPTURE, Kind.AUTHORIZE)
_S = DisputeState
DISPUTE_STATES: Final[Mapping[str, DisputeState]] = {
    "warning_needs_response": _S.OPEN,
    "warning_under_review": _S.CHALLENGED,
    "warning_closed": _S.CANCELED,
    "needs_response": _S.OPEN,
    "under_review": _S.CHALLENGED,
    "won": _S.WON,
    "lost": _S.LOST,
    "prevented": _S.CANCELED,
}
Reader = Callable[[Notice, Mapping[str, Any], Codes], Notice]


def read_notices(
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: tuple[str, ...],
    now: datetime,
    codes: Codes,
) -> tuple[Notice, ...]:
    """The event of a webhook; NoticeRefused when it is not proven to be Stripe's, or unreadable."""
    verify(headers, body, header=HEADER, secrets=secrets, now=now)
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NoticeRefused(NoticeFault.UNREADABLE, "the body is no JSON") from None
    data = event.get("data") if isinstance(event, Mapping) else None
    thing = data.get("object") if isinstance(data, Mapping) else None
    name, kind = _text(event, "id"), _text(event, "type")
    if not name or not kind or not isinstance(thing, Mapping):
        raise NoticeRefused(NoticeFault.UNREADABLE, "the event has no id, type or data.object")
    plain = Notice(
        event_id=name,
        detail=f"Stripe: {kind[:80]}",
        references=tuple(filter(None, (_text(thing, "id"),))),
        occurred_at=_moment(event.get("created")),
    )
    if kind == "charge.refunded":
        return _refunds_of(plain, thing, codes)
    read = _READERS.get(kind)
    return (plain if read is None else read(plain, thing, codes),)


def _intent(plain: Notice, intent: Mapping[str, Any], codes: Codes) -> Notice:
    amount, received = _amount(intent), _amount(intent, "amount_received")
    status, error = intent.get("status"), intent.get("last_payment_error")
    about = replace(
        plain,
        operation=_operation(intent),
        references=tuple(filter(None, (_text(intent, "id"), _id(intent.get("latest_charge"))))),
        kinds=(Kind.AUTHORIZE,),
    )
    match status:
        case "succeeded" if intent.get("capture_method") == "manual":
            return _moved(about, Event.SUCCEED, amount)
        case "succeeded":
            return _moved(about, Event.SUCCEED, received or amount)
        case "requires_capture":
            return _moved(about, Event.SUCCEED, amount)
        case "processing":
            return _moved(about, Event.PEND, amount)
        case "canceled":
            return replace(about, event=Event.CLOSE)
        case "requires_payment_method" if isinstance(error, Mapping):
            code = _text(error, "decline_code") or _text(error, "code")
            advice = _text(error, "network_advice_code") or _text(error, "advice_code")
            event, decline = codes.declines.read(
                operation=Kind.AUTHORIZE.value, code=code, advice=advice
            )
            return replace(_moved(about, event, amount), decline=decline)
    return about  # an action is for the look-up to fetch: its secret is in no inbox


def _refund(plain: Notice, refund: Mapping[str, Any], codes: Codes) -> Notice:
    reference = _text(refund, "id")
    parents = (_id(refund.get("payment_intent")), _id(refund.get("charge")))
    about = replace(
        plain,
        operation=_operation(refund),
        references=tuple(filter(None, (reference, *parents))),
        kinds=(Kind.REFUND,),
        reversal_reference=reference,
    )
    match refund.get("status"):
        case "succeeded":
            return replace(_moved(about, Event.SUCCEED, _amount(refund)), takes_from=_CARRIES)
        case "pending" | "requires_action":
            return _moved(about, Event.PEND, _amount(refund))
        case "failed" | "canceled" as status:
            code = _text(refund, "failure_reason") or str(status)
            return _declined(about, Kind.REFUND, code, _amount(refund), codes)
    return about


def _refunds_of(plain: Notice, charge: Mapping[str, Any], codes: Codes) -> tuple[Notice, ...]:
    """The refunds that older API versions list in their charge; newer ones send refund events."""
    listed = charge.get("refunds")
    found = listed.get("data") if isinstance(listed, Mapping) else None
    refunds = [one for one in found or [] if isinstance(one, Mapping) and _text(one, "id")]
    return tuple(
        replace(_refund(plain, one, codes), event_id=f"{plain.event_id}/{_text(one, 'id')}")
        for one in refunds
    ) or (plain,)


def _payout(plain: Notice, payout: Mapping[str, Any], codes: Codes) -> Notice:
    about = replace(
        plain,
        operation=_operation(payout),
        kinds=(Kind.PAYOUT,),
        reversal_reference=_text(payout, "id"),
    )
    match payout.get("status"):
        case "paid":
            return _moved(about, Event.SUCCEED, _amount(payout))
        case "failed" | "canceled" as status:
            code = _text(payout, "failure_code") or str(status)
            return _declined(about, Kind.PAYOUT, code, _amount(payout), codes)
    return about


def _dispute(plain: Notice, dispute: Mapping[str, Any], codes: Codes) -> Notice:  # noqa: ARG001
    status = _text(dispute, "status")
    state = DISPUTE_STATES.get(status)
    if state is None or not plain.reference:
        return plain
    details = dispute.get("payment_method_details")
    card = details.get("card") if isinstance(details, Mapping) else None
    card = card if isinstance(card, Mapping) else {}
    evidence = dispute.get("evidence_details")
    due = evidence.get("due_by") if isinstance(evidence, Mapping) else None
    inquiry = status.startswith("warning") or card.get("case_type") == "inquiry"
    news = DisputeNews(
        reference=plain.reference,
        stage=DisputeStage.INQUIRY if inquiry else DisputeStage.CHARGEBACK,
        state=state,
        amount=_amount(dispute),
        funds_withdrawn=_is_withdrawn(plain, dispute, status),
        reason_code=_text(card, "network_reason_code") or _text(dispute, "reason")[:64],
        evidence_due_at=_moment(due),
        moves=len(_moves(dispute, "amount")),
        fee=_amount({"fee": sum(_moves(dispute, "fee")), **_currency(dispute)}, "fee")
        if _moves(dispute, "fee")
        else None,
    )
    parents = (_id(dispute.get("payment_intent")), _id(dispute.get("charge")))
    return replace(plain, references=tuple(filter(None, parents)), kinds=_CARRIES, dispute=news)


def _is_withdrawn(plain: Notice, dispute: Mapping[str, Any], status: str) -> bool:
    """The balance says it; without one the event's name, and then how it ended."""
    moves = _moves(dispute, "amount")
    if moves:
        return sum(moves) < 0
    if plain.detail.endswith(("funds_withdrawn", "funds_reinstated")):
        return plain.detail.endswith("funds_withdrawn")
    return status in {"needs_response", "under_review", "lost"}


def _moves(dispute: Mapping[str, Any], field: str) -> list[int]:
    """What the balance transactions of a dispute say; empty where they are not told."""
    told = dispute.get("balance_transactions")
    numbers = [m.get(field) for m in told or [] if isinstance(m, Mapping)]
    return [number for number in numbers if type(number) is int]


def _currency(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {"currency": thing.get("currency")}


def _moved(about: Notice, event: Event, amount: Money | None) -> Notice:
    if amount is None:
        return replace(about, detail=f"{about.detail}, with an amount that we cannot read")
    return replace(about, event=event, amount=amount)


def _declined(about: Notice, kind: Kind, code: str, amount: Money | None, codes: Codes) -> Notice:
    _, decline = codes.declines.read(operation=kind.value, code=code, advice="")
    # What was accepted and then failed is over at this processor, whatever its code would allow.
    return replace(_moved(about, Event.DECLINE_HARD, amount), decline=decline)


def _operation(thing: Mapping[str, Any]) -> str:
    metadata = thing.get("metadata")
    return _text(metadata, OPERATION_FIELD) if isinstance(metadata, Mapping) else ""


def _amount(thing: Mapping[str, Any], field: str = "amount") -> Money | None:
    amount, currency = thing.get(field), thing.get("currency")
    if type(amount) is not int or type(currency) is not str:
        return None
    try:
        return from_stripe(amount, currency)
    except AmountNotExpressible:
        return None


def _id(thing: object) -> str:
    """The id of what is told as an id, or as the whole object where it was expanded."""
    return thing if isinstance(thing, str) else _text(thing, "id")


def _text(thing: object, field: str) -> str:
    value = thing.get(field) if isinstance(thing, Mapping) else None
    return value if type(value) is str else ""


def _moment(seconds: object) -> datetime | None:
    if type(seconds) is not int or not 0 < seconds < 1 << 33:
        return None
    return datetime.fromtimestamp(seconds, UTC)


_READERS: Final[Mapping[str, Reader]] = {
    **{
        f"payment_intent.{name}": _intent
        for name in (
            *("succeeded", "payment_failed", "canceled", "processing", "requires_action"),
            "amount_capturable_updated",
        )
    },
    **dict.fromkeys(("refund.created", "refund.updated", "refund.failed"), _refund),
    "charge.refund.updated": _refund,
    **{
        f"charge.dispute.{name}": _dispute
        for name in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")
    },
    **{f"payout.{name}": _payout for name in ("paid", "failed", "canceled", "updated")},
}
