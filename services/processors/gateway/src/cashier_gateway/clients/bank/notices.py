"""The bank's webhooks: an instant credit has its answer; a report is there, which we fetch."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from cashier_gateway.clients.bank.wire import amount_of
from cashier_gateway.clients.declines import Codes
from cashier_gateway.clients.signature import verify
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.notice import Notice, NoticeFault, NoticeRefused

HEADER: Final = "Sandbox-Signature"


def read_notices(
    headers: Mapping[str, str],
    body: bytes,
    *,
    account: str,
    secrets: tuple[str, ...],
    now: datetime,
    codes: Codes,
) -> tuple[Notice, ...]:
    """The event of a webhook; NoticeRefused when it is not proven to be ours, or unreadable."""
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
        event_id=name, detail=f"the bank: {kind[:80]}", occurred_at=_moment(event.get("at"))
    )
    if account and _text(event, "account") != account:
        return (replace(plain, elsewhere=True),)
    if kind not in {"rtp.status", "rtp.returned"}:
        return (plain,)  # a report is there: it is fetched from where it cannot be forged
    return (_transfer(plain, kind, thing, codes),)


def _transfer(plain: Notice, kind: str, thing: Mapping[str, Any], codes: Codes) -> Notice:
    reference, amount = _text(thing, "clearing_reference"), amount_of(thing)
    about = replace(
        plain,
        operation=_text(thing, "remittance_information"),
        references=(reference,) if reference else (),
        kinds=(Kind.PAYOUT,),
    )
    if amount is None:
        return replace(about, detail=f"{about.detail}, with an amount that we cannot read")
    about = replace(about, amount=amount)
    status = thing.get("status")
    if status == "ACSC":
        return replace(about, event=Event.SUCCEED)
    if status != "RJCT":
        return about
    code = _text(thing, "reason")
    event, decline = codes.declines.read(operation=Kind.PAYOUT.value, code=code, advice="")
    returned = reference if kind == "rtp.returned" else ""
    return replace(about, event=event, decline=decline, reversal_reference=returned)


def _text(thing: object, field: str) -> str:
    value = thing.get(field) if isinstance(thing, Mapping) else None
    return value if type(value) is str else ""


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if type(text) is str else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment and moment.tzinfo else None
