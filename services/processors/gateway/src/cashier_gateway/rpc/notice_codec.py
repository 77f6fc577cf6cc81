"""Letters of the inbox to protos, and what operators ask about them to commands."""

from datetime import UTC, datetime
from typing import Final

from cashier.common.v1 import money_pb2
from cashier.gateway.v1 import gateway_admin_service_pb2 as api
from cashier.gateway.v1 import notice_pb2
from cashier_common.errors import FieldInvalid
from cashier_common.redact import holds_card_number
from cashier_gateway.flows.handle_notice import HandleNotice, Verb
from cashier_gateway.flows.notice_desk import Filter, KeptLetter
from cashier_gateway.flows.notice_ports import InboxState

OPERATOR_MAX_CHARS: Final = 128
REASON_MAX_CHARS: Final = 512
FILTER_MAX_CHARS: Final = 256
_STATES: Final = {state: notice_pb2.Notice.State.Value(f"STATE_{state}") for state in InboxState}


def letter_to_proto(letter: KeptLetter) -> notice_pb2.Notice:
    """The letter without anything that is not ours or the processor's own names."""
    notice = letter.notice
    proto = notice_pb2.Notice(
        name=letter.name,
        account_id=letter.due.account,
        event_id=letter.due.event_id,
        state=_STATES[letter.state],
        result=_result(letter.result),
        attempt_count=letter.tries,
        body_sha256=letter.body_hash,
        facts_reaped=notice is None,
        etag=letter.etag,
    )
    proto.receive_time.FromDatetime(letter.received_at)
    if letter.state is InboxState.WAITING:
        proto.next_attempt_time.FromDatetime(letter.next_at)
    if letter.settled_at is not None:
        proto.attempt_time.FromDatetime(letter.settled_at)
    if notice is None:
        return proto
    proto.detail, proto.operation = notice.detail, notice.operation
    proto.references.extend(notice.references)
    proto.event = notice.event.value if notice.event else ""
    amount = notice.dispute.amount if notice.dispute else notice.amount
    if amount is not None:
        proto.amount.CopyFrom(money_pb2.Money(minor=amount.minor, asset_code=amount.asset))
    if notice.occurred_at is not None:
        proto.occur_time.FromDatetime(notice.occurred_at)
    return proto


def to_filter(request: api.ListNoticesRequest) -> Filter:
    """Which letters a request wants; FieldInvalid."""
    state, result = notice_pb2.Notice.State, notice_pb2.Notice.Result
    if request.state not in state.values():
        raise FieldInvalid("state", str(request.state), "a state of Notice")
    if request.result not in result.values():
        raise FieldInvalid("result", str(request.result), "a result of Notice")
    for field in ("account_id", "operation"):
        if len(getattr(request, field)) > FILTER_MAX_CHARS:
            raise FieldInvalid(field, "too long", f"at most {FILTER_MAX_CHARS} characters")
    return Filter(
        account=request.account_id,
        state=state.Name(request.state).removeprefix("STATE_") if request.state else "",
        result=result.Name(request.result).removeprefix("RESULT_") if request.result else "",
        operation=request.operation,
        received_from=_moment(request, "min_receive_time"),
        received_before=_moment(request, "max_receive_time"),
    )


def to_command(
    verb: Verb, request: api.ReprocessNoticeRequest | api.DismissNoticeRequest, key: str
) -> HandleNotice:
    """What an operator decided; FieldInvalid."""
    return HandleNotice(
        verb=verb,
        name=request.name,
        operator=_text("operator", request.operator, OPERATOR_MAX_CHARS),
        reason=_text("reason", request.reason, REASON_MAX_CHARS),
        etag=request.etag,
        key=key,
    )


def _text(field: str, value: str, most: int) -> str:
    text = value.strip()
    if not text or not text.isprintable() or len(text) > most:
        raise FieldInvalid(field, "not that", f"1 to {most} printable characters")
    if holds_card_number(text):
        raise FieldInvalid(field, "what looks like a card number", "text without one")
    return text


def _moment(request: api.ListNoticesRequest, field: str) -> datetime | None:
    if not request.HasField(field):  # type: ignore[arg-type]
        return None
    try:
        moment: datetime = getattr(request, field).ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise FieldInvalid(field, "out of range", "a time") from None
    return moment


def _result(result: str) -> notice_pb2.Notice.Result.ValueType:
    word = result.partition(":")[0]
    name = f"RESULT_{word}" if word else "RESULT_UNSPECIFIED"
    return notice_pb2.Notice.Result.Value(name)
