"""Adyen's standard webhooks: what is signed is compared before anything of it is believed."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from cashier_common.money import Money
from cashier_gateway.clients.adyen.units import AmountNotExpressible, from_adyen
from cashier_gateway.clients.adyen.wire import advice_of
from cashier_gateway.clients.declines import Codes
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
from cashier_gateway.domain.outcome import Decline

# Adyen sends one item per message today and documents a list; more is no message of Adyen's.
ITEMS_MAX: Final = 20
# What Adyen signs, in its order, beside value and currency of the amount.
_BEFORE: Final = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")
_AFTER: Final = ("eventCode", "success")
# The only signed field that may hold the separator: with two, characters could change fields.
_FREE_TEXT: Final = "merchantReference"
_CARRIES: Final = (Kind.CAPTURE, Kind.AUTHORIZE)
_STAGE, _STATE = DisputeStage, DisputeState
# eventCode → stage, state, whether the money is gone. After Adyen's dispute flow. Without a stage
# an event is about whichever the dispute is in, and moves no money.
DISPUTES: Final[Mapping[str, tuple[DisputeStage | None, DisputeState, bool]]] = {
    "REQUEST_FOR_INFORMATION": (_STAGE.INQUIRY, _STATE.OPEN, False),
    "NOTIFICATION_OF_CHARGEBACK": (_STAGE.CHARGEBACK, _STATE.OPEN, False),
    "CHARGEBACK": (_STAGE.CHARGEBACK, _STATE.OPEN, True),
    "CHARGEBACK_REVERSED": (_STAGE.CHARGEBACK, _STATE.CHALLENGED, False),
    "INFORMATION_SUPPLIED": (None, _STATE.CHALLENGED, False),
    "DISPUTE_DEFENSE_PERIOD_ENDED": (None, _STATE.LOST, False),
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": (_STAGE.CHARGEBACK, _STATE.WON, False),
    "SECOND_CHARGEBACK": (_STAGE.SECOND_CHARGEBACK, _STATE.LOST, True),
    "PREARBITRATION_WON": (_STAGE.ARBITRATION, _STATE.WON, False),
    "PREARBITRATION_LOST": (_STAGE.ARBITRATION, _STATE.LOST, True),
}
# Told so that people may act; no dispute is open and no money has moved.
INFORMATIONAL: Final = frozenset({"NOTIFICATION_OF_FRAUD", "ISSUER_COMMENTS"})
# eventCode → the calls it can be about, and whether it can only be bad news.
MOVES: Final[Mapping[str, tuple[tuple[Kind, ...], bool]]] = {
    "AUTHORISATION": ((Kind.AUTHORIZE,), False),
    "CAPTURE": (_CARRIES, False),
    "CAPTURE_FAILED": (_CARRIES, True),
    "CANCELLATION": ((Kind.VOID,), False),
    "TECHNICAL_CANCEL": ((Kind.VOID,), False),  # a cancel by our name, not by theirs
    "REFUND": ((Kind.REFUND,), False),
    "REFUND_FAILED": ((Kind.REFUND,), True),
    "REFUNDED_REVERSED": ((Kind.REFUND,), True),
    "PAYOUT_THIRDPARTY": ((Kind.PAYOUT,), False),
    "PAYOUT_DECLINE": ((Kind.PAYOUT,), True),
    "PAYOUT_EXPIRE": ((Kind.PAYOUT,), True),
    "PAIDOUT_REVERSED": ((Kind.PAYOUT,), True),
}
# In a cancellation Adyen tells the payment's amount, not what was released.
_WITHOUT_AMOUNT: Final = frozenset({"CANCELLATION", "TECHNICAL_CANCEL"})


@dataclass(frozen=True, slots=True)
class Item:
    """The signed facts of one notification, and `extra`, which nobody signs."""

    psp: str
    original: str
    account: str
    reference: str
    value: int
    currency: str
    event: str
    success: bool
    extra: Mapping[str, Any]
    at: datetime | None


def read_notices(
    body: bytes, *, keys: tuple[bytes, ...], merchant_account: str, codes: Codes
) -> tuple[Notice, ...]:
    """Every item of a webhook, all of them verified; NoticeRefused when one is not."""
    return tuple(_notice(item, merchant_account, codes) for item in _items(body, keys))


def _items(body: bytes, keys: tuple[bytes, ...]) -> Iterator[Item]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NoticeRefused(NoticeFault.UNREADABLE, "the body is no JSON") from None
    wrapped = document.get("notificationItems") if isinstance(document, Mapping) else None
    if not isinstance(wrapped, list) or not 0 < len(wrapped) <= ITEMS_MAX:
        raise NoticeRefused(
            NoticeFault.UNREADABLE, f"notificationItems must hold 1 to {ITEMS_MAX} items"
        )
    for wrapper in wrapped:
        fields = wrapper.get("NotificationRequestItem") if isinstance(wrapper, Mapping) else None
        if not isinstance(fields, Mapping):
            raise NoticeRefused(NoticeFault.UNREADABLE, "an item has no NotificationRequestItem")
        _verify(fields, keys)
        yield _item(fields)


def _verify(fields: Mapping[str, Any], keys: tuple[bytes, ...]) -> None:
    extra = fields.get("additionalData")
    told = extra.get("hmacSignature") if isinstance(extra, Mapping) else None
    if type(told) is not str:
        raise NoticeRefused(NoticeFault.UNVERIFIED, "additionalData.hmacSignature is missing")
    text = _signed_text(fields)
    try:
        given = base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError):
        raise NoticeRefused(
            NoticeFault.UNVERIFIED, "additionalData.hmacSignature is no base64"
        ) from None
    matches = False
    for key in keys:  # every key is tried, so that the time tells nothing
        digest = hmac.new(key, text, hashlib.sha256).digest()
        matches |= hmac.compare_digest(digest, given)
    if not matches:
        raise NoticeRefused(
            NoticeFault.UNVERIFIED,
            f"the signature fits none of the account's {len(keys)} webhook secrets",
        )


def _signed_text(fields: Mapping[str, Any]) -> bytes:
    """What Adyen signs; each field is checked, so that what was signed is what is read."""
    amount = fields.get("amount")
    value = amount.get("value") if isinstance(amount, Mapping) else None
    currency = amount.get("currency") if isinstance(amount, Mapping) else None
    if type(value) is not int or type(currency) is not str:
        raise NoticeRefused(NoticeFault.UNREADABLE, "amount must have a whole value and a currency")
    texts = [
        *(_text(fields, name) for name in _BEFORE),
        str(value),
        currency,
        *(_text(fields, name) for name in _AFTER),
    ]
    if ":" in currency:
        raise NoticeRefused(NoticeFault.UNREADABLE, "amount.currency holds a colon")
    try:
        return ":".join(texts).encode()
    except UnicodeEncodeError:
        raise NoticeRefused(NoticeFault.UNREADABLE, "a signed field is no Unicode text") from None


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None and name == "originalReference":  # the first of its payment
        return ""
    if type(value) is not str:
        raise NoticeRefused(NoticeFault.UNREADABLE, f"{name} must be text")
    if name != _FREE_TEXT and ":" in value:
        raise NoticeRefused(NoticeFault.UNREADABLE, f"{name} holds a colon")
    return value


def _item(fields: Mapping[str, Any]) -> Item:
    success = fields["success"]
    if success not in {"true", "false"}:
        raise NoticeRefused(NoticeFault.UNREADABLE, "success must be true or false")
    extra = fields.get("additionalData")
    return Item(
        psp=fields["pspReference"],
        original=fields.get("originalReference") or "",
        account=fields["merchantAccountCode"],
        reference=fields["merchantReference"],
        value=fields["amount"]["value"],
        currency=fields["amount"]["currency"],
        event=fields["eventCode"],
        success=success == "true",
        extra=extra if isinstance(extra, Mapping) else {},
        at=_moment(fields.get("eventDate")),
    )


def _notice(item: Item, merchant_account: str, codes: Codes) -> Notice:
    told = f"Adyen: {item.event} {'succeeded' if item.success else 'failed'}"
    plain = Notice(
        # The tuple that Adyen documents for telling duplicates.
        event_id=f"{item.psp}/{item.event}/{'true' if item.success else 'false'}",
        detail=told,
        references=tuple(name for name in (item.psp, item.original) if name),
        occurred_at=item.at,
    )
    if item.account != merchant_account:
        return replace(plain, elsewhere=True)
    if item.event in DISPUTES and item.success:
        return replace(
            plain, kinds=_CARRIES, operation=item.reference, dispute=_dispute(item),
            references=(item.original,) if item.original else (),
        )  # fmt: skip
    if item.event in INFORMATIONAL:
        return replace(plain, detail=f"{told}: for people, no money has moved")
    if item.event not in MOVES:
        return plain
    kinds, is_bad = MOVES[item.event]
    good = item.success and not is_bad
    if is_bad and not item.success:  # a failure that did not take place
        return plain
    amount = None if item.event in _WITHOUT_AMOUNT else _money(item)
    if amount is None and item.event not in _WITHOUT_AMOUNT:
        return replace(plain, detail=f"{told}, with an amount that we cannot read")
    # A refused authorisation or cancellation took nothing back from one that had succeeded.
    is_reversal = not good and item.event not in {"AUTHORISATION", *_WITHOUT_AMOUNT}
    event, decline = (Event.SUCCEED, None) if good else _declined(item, kinds[0], codes)
    return replace(
        plain,
        operation=item.reference,
        kinds=kinds,
        event=event,
        decline=decline,
        amount=amount,
        takes_from=_CARRIES if item.event == "REFUND" and good else (),
        reversal_reference=item.psp if is_reversal or item.event == "REFUND" else "",
    )


def _declined(item: Item, kind: Kind, codes: Codes) -> tuple[Event, Decline | None]:
    found = item.extra.get("refusalReasonCode")
    if item.event == "AUTHORISATION":
        code = found if type(found) is str and found else "Refused"
    else:
        code = item.event
    return codes.declines.read(operation=kind.value, code=code, advice=advice_of(item.extra))


def _dispute(item: Item) -> DisputeNews:
    stage, state, withdrawn = DISPUTES[item.event]
    extra = item.extra
    reason = extra.get("chargebackReasonCode") or extra.get("rfiReasonCode")
    arn = extra.get("arn")
    return DisputeNews(
        reference=item.psp,
        stage=stage,
        state=state,  # of the event, which is signed; additionalData.disputeStatus is not
        amount=_money(item),
        funds_withdrawn=withdrawn,
        reason_code=reason[:64] if type(reason) is str else "",
        arn=arn[:64] if type(arn) is str else "",
        evidence_due_at=_moment(extra.get("defensePeriodEndsAt")),
        liability_shifted=extra.get("liabilityShift") == "true",
    )


def _money(item: Item) -> Money | None:
    try:
        return from_adyen(item.value, item.currency)
    except AmountNotExpressible:
        return None


def _moment(text: object) -> datetime | None:
    if type(text) is not str:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
