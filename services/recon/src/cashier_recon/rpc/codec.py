"""Proto to domain and back, nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cashier.common.v1 import money_pb2
from cashier.recon.v1 import exception_pb2, ledger_service_pb2, recon_service_pb2
from cashier_common.money import Money
from cashier_common.rpc.call import current_call
from cashier_recon.domain.import_result import Statement
from cashier_recon.domain.recon_exception import ReconException
from cashier_recon.domain.run_plan import Run
from cashier_recon.flows.decide_exception import etag_of
from cashier_recon.flows.ports import Key
from cashier_recon.flows.reports import Balance, BookedEntry, Summary

_Exception = exception_pb2.ReconException
_Run = recon_service_pb2.Run
_Statement = recon_service_pb2.Statement


def key_of(request: Message | None) -> Key:
    """The call's key, with SHA-256 over the request's fields in the order of their numbers.

    None for a stream: the flow knows its content only at the end.
    """
    call = current_call()
    told = request.SerializeToString(deterministic=True) if request is not None else b""
    return Key(
        key=call.idempotency_key or "",
        caller=call.caller,
        method=call.method,
        fingerprint=sha256(call.method.encode() + b"\0" + told).digest(),
        traceparent=call.traceparent,
    )


def time_of(message: Message, field: str) -> datetime | None:
    """A timestamp field, None where it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(UTC)


def stamp(moment: datetime | None) -> Timestamp | None:
    """A moment for the wire."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def money(value: Money | None) -> money_pb2.Money | None:
    """An amount for the wire."""
    if value is None:
        return None
    return money_pb2.Money(minor=value.minor, asset_code=value.asset)


def statement_message(statement: Statement) -> recon_service_pb2.Statement:
    """A statement."""
    return _Statement(
        name=statement.statement_id,
        format=recon_service_pb2.StatementFormat.ValueType(statement.format),
        processor_account=statement.processor_account,
        content_hash=statement.content_hash,
        line_count=statement.line_count,
        rejected_line_count=statement.rejected_line_count,
        totals=[
            money_pb2.Money(minor=minor, asset_code=asset)
            for asset, minor in sorted(statement.totals.items())
        ],
        state=_Statement.State.Value(f"STATE_{statement.state}"),
        detail=statement.detail,
        create_time=stamp(statement.create_time),
    )


def run_message(run: Run) -> recon_service_pb2.Run:
    """A run."""
    return _Run(
        name=run.run_id,
        state=_Run.State.Value(f"STATE_{run.state}"),
        cutoff_time=stamp(run.cutoff_time),
        bridge=[
            _Run.BridgeLine(
                label=line.label,
                processor_account=line.processor_account,
                amount=money_pb2.Money(minor=line.amount, asset_code=line.asset),
                item_count=line.count,
            )
            for line in run.bridge
        ],
        matched_count=run.matched_count,
        exception_counts=run.exception_counts,
        create_time=stamp(run.create_time),
        finish_time=stamp(run.finish_time),
        result_hash=run.result_hash,
    )


def exception_message(exception: ReconException) -> exception_pb2.ReconException:
    """An exception."""
    found = exception.found
    return _Exception(
        name=found.exception_id,
        type=found.type,
        severity=_Exception.Severity.Value(f"SEVERITY_{found.severity.name}"),
        state=_Exception.State.Value(f"STATE_{exception.state}"),
        merchant=found.merchant,
        processor_account=found.processor_account,
        payment=found.payment,
        expected_amount=money(found.expected),
        observed_amount=money(found.observed),
        difference=money(exception.difference),
        statement_reference=found.statement_reference,
        detail=found.detail,
        assignee=exception.assignee,
        due_time=stamp(found.due_time),
        create_time=stamp(exception.create_time),
        update_time=stamp(exception.update_time),
        etag=etag_of(exception),
        disposition=exception.disposition,
        run=found.run_id,
    )


def state_words(states: Sequence[int]) -> list[str]:
    """Names of exception states without their prefix; numbers that nobody knows match nothing."""
    known = _Exception.State.DESCRIPTOR.values_by_number
    return [
        known[number].name.removeprefix("STATE_") if number in known else f"UNKNOWN_{number}"
        for number in states
    ]


def summary_message(summary: Summary) -> recon_service_pb2.GetSummaryResponse:
    """A summary."""
    return recon_service_pb2.GetSummaryResponse(
        lines=[
            recon_service_pb2.GetSummaryResponse.Line(
                processor_account=line.processor_account,
                asset_code=line.asset,
                booked_minor=line.booked_minor,
                booked_count=line.booked_count,
                settled_minor=line.settled_minor,
                settled_count=line.settled_count,
                open_minor=line.open_minor,
                open_count=line.open_count,
                fee_minor=line.fee_minor,
            )
            for line in summary.lines
        ],
        open_exception_counts=dict(summary.open_exceptions),
        event_positions=dict(summary.positions),
    )


def balance_message(balance: Balance) -> ledger_service_pb2.Balance:
    """A balance."""
    return ledger_service_pb2.Balance(
        account=balance.account,
        owner=balance.owner,
        amount=money_pb2.Money(minor=balance.amount, asset_code=balance.asset),
    )


def entry_message(entry: BookedEntry) -> ledger_service_pb2.Entry:
    """An entry."""
    return ledger_service_pb2.Entry(
        journal=entry.journal_id,
        leg=entry.leg,
        account=entry.account,
        owner=entry.owner,
        amount=money_pb2.Money(minor=entry.amount, asset_code=entry.asset),
        payment=entry.payment,
        operation=entry.operation,
        cause=entry.cause,
        book_time=stamp(entry.book_time),
    )
