"""dLocal's notifications: a payment, refund or payout as it stands, verified before it is read."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.dlocal.answers import SHOWN_MAX_CHARS, moment
from cashier_gateway.clients.dlocal.signing import verify
from cashier_gateway.clients.dlocal.units import AmountNotExpressible, exact, from_dlocal
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice, NoticeFault, NoticeRefused
from cashier_gateway.domain.outcome import Decline

_CARRIES: Final = (Kind.CAPTURE, Kind.AUTHORIZE)
_SUCCESSES: Final = frozenset({"PAID", "AUTHORIZED", "SUCCESS"})


def read_notices(
    headers: Mapping[str, str],
    body: bytes,
    *,
    login: str,
    secrets: tuple[str, ...],
    now: datetime,
    codes: Codes,
) -> tuple[Notice, ...]:
    """The news of a notification; NoticeRefused when it is not proven dLocal's, or unreadable."""
    verify(headers, body, login=login, secrets=secrets, now=now)
    try:
        thing = exact(body)
    except ValueError:
        raise NoticeRefused(NoticeFault.UNREADABLE, "the body is no JSON") from None
    if not isinstance(thing, Mapping):
        raise NoticeRefused(NoticeFault.UNREADABLE, "the body is no object")
    return (_notice(thing, codes),)


def _notice(thing: Mapping[str, Any], codes: Codes) -> Notice:
    name, status = _text(thing, "id"), _text(thing, "status")
    code, number = str(thing.get("status_code", "")), str(thing.get("amount", ""))
    currency = _text(thing, "currency")
    said = "/".join(part[:SHOWN_MAX_CHARS] for part in (status, code, number, currency))
    plain = Notice(
        # dLocal numbers no notification: the thing with what is said of it is the same news.
        event_id=f"{name}/{said}",
        detail=f"dLocal: {status} {code}".strip()[:SHOWN_MAX_CHARS],
        references=(name,),
        occurred_at=moment(thing.get("approved_date")),
    )
    kind, operation, root = _about(thing)
    amount = _money(thing.get("amount"), currency)
    event, decline = _event(kind, status, code, codes)
    if event is None:
        return plain
    if amount is None:
        return replace(plain, detail=f"{plain.detail}, with an amount that we cannot read")
    takes_back = kind in {Kind.REFUND, Kind.PAYOUT} and event is not Event.SUCCEED
    is_refunded = kind is Kind.REFUND and event is Event.SUCCEED
    return replace(
        plain,
        operation=operation,
        references=(name, root) if root else (name,),
        kinds=(kind,),
        event=event,
        decline=decline,
        amount=None if event is Event.CLOSE else amount,
        takes_from=_CARRIES if is_refunded else (),
        reversal_reference=name if takes_back or is_refunded else "",
    )


def _about(thing: Mapping[str, Any]) -> tuple[Kind, str, str]:
    """What it is, which operation of ours it names, and the payment that it belongs to."""
    if "payment_id" in thing:
        return Kind.REFUND, _word(thing, "order_refund_id"), _word(thing, "payment_id")
    if "external_id" in thing:
        return Kind.PAYOUT, _word(thing, "external_id"), ""
    if "authorization_id" in thing:
        return Kind.CAPTURE, _word(thing, "order_id"), _word(thing, "authorization_id")
    return Kind.AUTHORIZE, _word(thing, "order_id"), ""


def _event(kind: Kind, status: str, code: str, codes: Codes) -> tuple[Event | None, Decline | None]:
    """What it makes of the call; None for what only says that it still waits, or is unknown."""
    if status in _SUCCESSES:
        return Event.SUCCEED, None
    if status in {"EXPIRED", "CANCELLED"} and kind is Kind.AUTHORIZE:
        return Event.CLOSE, None
    if status in {"REJECTED", "CANCELLED"}:
        return codes.declines.read(operation=kind.value, code=code or status, advice="")
    return None, None


def _money(number: object, currency: str) -> Money | None:
    try:
        return from_dlocal(number, currency)
    except AmountNotExpressible:
        return None


def _text(thing: Mapping[str, Any], name: str) -> str:
    value = thing.get(name)
    if type(value) is not str or not value:
        raise NoticeRefused(NoticeFault.UNREADABLE, f"{name} must be text")
    return value


def _word(thing: Mapping[str, Any], name: str) -> str:
    value = thing.get(name)
    return value if type(value) is str else ""
