"""The sandbox's webhooks: the raw bytes are verified, then one event is read."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.signature import verify
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

HEADER: Final = "Sandbox-Signature"
_CARRIES: Final = (Kind.CAPTURE, Kind.AUTHORIZE)
_STATES: Final[Mapping[str, DisputeState]] = {
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.CHALLENGED,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}
_STAGES: Final[Mapping[str, DisputeStage]] = {
    "inquiry": DisputeStage.INQUIRY,
    "chargeback": DisputeStage.CHARGEBACK,
    "second_chargeback": DisputeStage.SECOND_CHARGEBACK,
}
Facts = Mapping[str, Any]
Reader = Callable[[Notice, Facts, Facts, Codes], Notice]


def read_notices(
    headers: Mapping[str, str],
    body: bytes,
    *,
    account: str,
    secrets: tuple[str, ...],
    now: datetime,
    codes: Codes,
) -> tuple[Notice, ...]:
    """The event of a webhook; NoticeRefused when it is not proven to be ours, or unreadable.

    `account` is the sandbox's own name of the account; where it is empty, none is compared.
    """
    verify(headers, body, header=HEADER, secrets=secrets, now=now)
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NoticeRefused(NoticeFault.UNREADABLE, "the body is no JSON") from None
    thing = event.get("resource") if isinstance(event, Mapping) else None
    name, kind = _text(event, "id"), _text(event, "type")
    if not name or not kind or not isinstance(thing, Mapping):
        raise NoticeRefused(NoticeFault.UNREADABLE, "the event has no id, type or resource")
    plain = Notice(
        event_id=name,
        detail=f"the sandbox: {kind[:80]}",
        references=tuple(filter(None, (_text(thing, "id"),))),
        occurred_at=_moment(event.get("at")),
    )
    if account and _text(event, "account") != account:
        return (replace(plain, elsewhere=True),)
    read = _READERS.get(kind)
    return (plain if read is None else read(plain, event, thing, codes),)


def _charge(plain: Notice, event: Facts, charge: Facts, codes: Codes) -> Notice:
    del event
    about = replace(plain, operation=_text(charge, "reference"), kinds=(Kind.AUTHORIZE,))
    if charge.get("status") == "authorized":
        return _moved(about, Event.SUCCEED, _amount(charge))
    return _by_status(about, Kind.AUTHORIZE, charge, codes)


def _captured(plain: Notice, event: Facts, charge: Facts, codes: Codes) -> Notice:
    del codes
    about = replace(
        plain,
        operation=_text(event, "reference"),
        references=(_text(event, "about"), _text(charge, "id")),
        kinds=(Kind.CAPTURE,),
    )
    return _moved(about, Event.SUCCEED, _amount(event, "moved"))


def _voided(plain: Notice, event: Facts, charge: Facts, codes: Codes) -> Notice:
    """A void has no object and tells no amount: what of a charge was released is the charge's."""
    del charge, codes
    operation = _text(event, "reference")
    return replace(plain, operation=operation, kinds=(Kind.VOID,), event=Event.SUCCEED)


def _refund(plain: Notice, event: Facts, refund: Facts, codes: Codes) -> Notice:
    del event
    about = replace(
        plain,
        operation=_text(refund, "reference"),
        references=(*plain.references, _text(refund, "charge")),
        kinds=(Kind.REFUND,),
    )
    return _by_status(about, Kind.REFUND, refund, codes)


def _refunded_elsewhere(plain: Notice, event: Facts, refund: Facts, codes: Codes) -> Notice:
    """Somebody gave money back in the sandbox's back office: it carries the charge's reference."""
    del event, codes
    about = replace(
        plain,
        references=(*plain.references, _text(refund, "charge")),
        takes_from=_CARRIES,
        reversal_reference=plain.reference,
    )
    return _moved(about, Event.SUCCEED, _amount(refund))


def _payout(plain: Notice, event: Facts, payout: Facts, codes: Codes) -> Notice:
    del event
    about = replace(plain, operation=_text(payout, "reference"), kinds=(Kind.PAYOUT,))
    return _by_status(about, Kind.PAYOUT, payout, codes)


def _failed(kinds: tuple[Kind, ...]) -> Reader:
    def read(plain: Notice, event: Facts, thing: Facts, codes: Codes) -> Notice:
        del thing, codes
        reference = _text(event, "about")
        about = replace(
            plain,
            operation=_text(event, "reference"),
            references=tuple(dict.fromkeys((reference, *plain.references))),
            kinds=kinds,
            reversal_reference=reference,
        )
        amount = _amount({**event, "moved": _size(event.get("moved"))}, "moved")
        return _moved(about, Event.DECLINE_HARD, amount)

    return read


def _dispute(plain: Notice, event: Facts, dispute: Facts, codes: Codes) -> Notice:
    del event, codes
    state = _STATES.get(_text(dispute, "status"))
    if state is None or not plain.reference:
        return plain
    news = DisputeNews(
        reference=plain.reference,
        stage=_STAGES.get(_text(dispute, "stage"), DisputeStage.CHARGEBACK),
        state=state,
        amount=_amount(dispute),
        funds_withdrawn=state is not DisputeState.WON and _text(dispute, "stage") != "inquiry",
        reason_code=_text(dispute, "reason")[:64],
        moves=moves if type(moves := dispute.get("moves")) is int else 0,
    )
    return replace(plain, references=(_text(dispute, "charge"),), kinds=_CARRIES, dispute=news)


def _asked(plain: Notice, event: Facts, charge: Facts, codes: Codes) -> Notice:
    """The payer's bank asks about a charge, and nothing moves."""
    del codes
    news = DisputeNews(
        reference=_text(event, "about"),
        stage=DisputeStage.INQUIRY,
        state=DisputeState.OPEN,
        amount=_amount(charge),
        funds_withdrawn=False,
    )
    return replace(plain, kinds=_CARRIES, dispute=news) if news.reference else plain


def _by_status(about: Notice, kind: Kind, thing: Facts, codes: Codes) -> Notice:
    match thing.get("status"):
        case "succeeded":
            return _moved(about, Event.SUCCEED, _amount(thing))
        case "pending":
            return _moved(about, Event.PEND, _amount(thing))
        case "declined":
            reason = thing.get("decline")
            event, decline = codes.declines.read(
                operation=kind.value, code=_text(reason, "code"), advice=_text(reason, "advice")
            )
            return replace(_moved(about, event, _amount(thing)), decline=decline)
    return about  # an action's page is for the look-up to fetch


def _moved(about: Notice, event: Event, amount: Money | None) -> Notice:
    if amount is None:
        return replace(about, detail=f"{about.detail}, with an amount that we cannot read")
    return replace(about, event=event, amount=amount)


def _amount(thing: Facts, field: str = "amount") -> Money | None:
    amount, currency = thing.get(field), thing.get("currency")
    if type(amount) is not int or amount < 0 or type(currency) is not str:
        return None
    return Money(amount, currency)


def _size(moved: object) -> object:
    return abs(moved) if type(moved) is int else moved


def _text(thing: object, field: str) -> str:
    value = thing.get(field) if isinstance(thing, Mapping) else None
    return value if type(value) is str else ""


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if type(text) is str else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment and moment.tzinfo else None


_READERS: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(("charge.created", "charge.resolved"), _charge),
    "charge.captured": _captured,
    "charge.voided": _voided,
    **dict.fromkeys(("refund.created", "refund.resolved"), _refund),
    "refund.external": _refunded_elsewhere,
    **dict.fromkeys(("payout.created", "payout.resolved"), _payout),
    "capture.failed": _failed(_CARRIES),
    "refund.failed": _failed((Kind.REFUND,)),
    "payout.failed": _failed((Kind.PAYOUT,)),
    **{f"chargeback.{name}": _dispute for name in ("created", "again", "answered", "closed")},
    "charge.information_requested": _asked,
}
