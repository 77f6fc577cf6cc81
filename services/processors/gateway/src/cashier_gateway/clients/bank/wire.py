"""Instant credits: what we send, and what the bank's status reports and refusals mean."""

from collections.abc import Mapping
from typing import Any, Final

from cashier_common.money import Money
from cashier_gateway.clients.declines import Codes
from cashier_gateway.domain.ach import end_to_end_id
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer

CENTS: Final = 100
ASSET: Final = "USD"
HTTP_OK: Final = 200
HTTP_CREATED: Final = 201
HTTP_NOT_FOUND: Final = 404
HTTP_CONFLICT: Final = 409
_SAID: Final[Mapping[str, Event]] = {"ACSC": Event.SUCCEED, "PDNG": Event.PEND}


def transfer_of(call: Call) -> dict[str, Any]:
    """The pacs.008 of a payout; its end-to-end id is the call's for ever."""
    minor = call.amount.minor
    return {
        "end_to_end_id": end_to_end_id(call.downstream_key),
        "instructed_amount": {
            "currency": call.amount.asset,
            "amount": f"{minor // CENTS}.{minor % CENTS:02d}",
        },
        "creditor_account": call.request.token if call.request else "",
        "remittance_information": call.operation,
    }


def status_answer(call: Call, body: object, codes: Codes) -> Answer:
    """What a status report says about the call; CONFLICT where it is about something else."""
    if not isinstance(body, Mapping):
        return Answer(Event.LOSE_TRACK, "the bank answered something else than a status")
    status, reference = body.get("status"), str(body.get("clearing_reference") or "")
    if body.get("end_to_end_id") != end_to_end_id(call.downstream_key):
        return Answer(Event.CONFLICT, "the status is about another transfer", reference)
    if status == "CLOSED":
        return Answer(Event.CLOSE, "nothing was sent under the end-to-end id, and it is closed")
    seen = amount_of(body)
    if seen is None or type(body.get("remittance_information")) is not str:
        return Answer(Event.LOSE_TRACK, "the bank answered a status that cannot be read", reference)
    if body["remittance_information"] != call.operation:
        return Answer(Event.CONFLICT, "the transfer carries another reference", reference)
    if seen != call.amount:
        detail = f"the transfer is over {seen.minor} {seen.asset}"
        return Answer(Event.CONFLICT, detail, reference, seen)
    if status == "RJCT":
        code = str(body.get("reason") or "")
        event, decline = codes.declines.read(operation=Kind.PAYOUT.value, code=code, advice="")
        return Answer(event, f"the transfer was rejected: {code[:8]}", reference, decline=decline)
    event = _SAID.get(str(status), Event.LOSE_TRACK)
    return Answer(event, f"the transfer is {str(status)[:8]}", reference, call.amount)


def amount_of(body: Mapping[str, Any]) -> Money | None:
    """The instructed amount, exact; None where there is none that we can read."""
    told = body.get("instructed_amount")
    text = told.get("amount") if isinstance(told, Mapping) else None
    currency = told.get("currency") if isinstance(told, Mapping) else None
    if type(text) is not str or type(currency) is not str:
        return None
    whole, point, part = text.partition(".")
    if point != "." or len(part) != 2 or not (whole + part).isdigit() or not text.isascii():  # noqa: PLR2004
        return None
    return Money(int(whole) * CENTS + int(part), currency)


def error_answer(status: int, body: object, codes: Codes) -> Answer:
    """What a refusal says; without the bank's own words, and its promise, it says nothing."""
    code, is_harmless = error_of(body)
    if not code or not codes.errors.knows(operation=Kind.PAYOUT.value, code=code):
        return Answer(Event.LOSE_TRACK, f"the bank answered HTTP {status} without a known code")
    event, decline = codes.errors.read(operation=Kind.PAYOUT.value, code=code, advice="")
    detail = f"the bank answered HTTP {status} {code}"
    if event is Event.LOSE_TRACK or not is_harmless:
        return Answer(Event.LOSE_TRACK, detail)
    return Answer(event, detail, decline=decline, of_request=True)


def error_of(body: object) -> tuple[str, bool]:
    """The code of a refusal, and whether the bank promises that nothing was done."""
    error = body.get("error") if isinstance(body, Mapping) else None
    code = error.get("code") if isinstance(error, Mapping) else None
    if type(code) is not str or not isinstance(error, Mapping):
        return "", False
    return code, error.get("no_effect") is True
