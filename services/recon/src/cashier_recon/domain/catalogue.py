"""The types of exception as data: how bad, what it means, what to do, what may be decided."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from cashier_common.errors import FieldInvalid
from cashier_recon.domain.lifecycle import ExceptionEvent

SATURDAY = 5


class Severity(IntEnum):
    """The numbers are those of `ReconException.Severity`."""

    CRITICAL = 1
    HIGH = 2
    MEDIUM = 3
    LOW = 4


# Business time to solve it (the catalogue's service levels).
TIME_TO_SOLVE = {
    Severity.CRITICAL: timedelta(hours=4),
    Severity.HIGH: timedelta(days=1),
    Severity.MEDIUM: timedelta(days=3),
    Severity.LOW: timedelta(days=10),
}


class Choice(StrEnum):
    """What a person may decide."""

    ACCEPT = "ACCEPT"  # it is right as it is booked
    RESOLVED_ELSEWHERE = "RESOLVED_ELSEWHERE"  # put right outside, the evidence says where
    NOT_AN_EXCEPTION = "NOT_AN_EXCEPTION"
    WRITE_OFF = "WRITE_OFF"  # booked as our loss or gain
    ASK_PROVIDER = "ASK_PROVIDER"
    ASK_CUSTOMER = "ASK_CUSTOMER"


EVENTS = {
    Choice.ACCEPT: ExceptionEvent.RESOLVE,
    Choice.RESOLVED_ELSEWHERE: ExceptionEvent.RESOLVE,
    Choice.NOT_AN_EXCEPTION: ExceptionEvent.REJECT,
    Choice.WRITE_OFF: ExceptionEvent.WRITE_OFF,
    Choice.ASK_PROVIDER: ExceptionEvent.ASK_PROVIDER,
    Choice.ASK_CUSTOMER: ExceptionEvent.ASK_CUSTOMER,
}
_ALWAYS = (Choice.RESOLVED_ELSEWHERE, Choice.NOT_AN_EXCEPTION, Choice.ASK_PROVIDER)
_MONEY = (*_ALWAYS, Choice.WRITE_OFF)


@dataclass(frozen=True, slots=True)
class ExceptionType:
    """One row of the catalogue. `meaning` may use {expected}, {observed} and {reference}."""

    code: str
    severity: Severity
    meaning: str
    next_step: str
    choices: tuple[Choice, ...] = _ALWAYS


_C, _H, _M = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM
_ROWS = (
    ExceptionType(
        "MISSING_IN_SETTLEMENT",
        _H,
        "{expected} was booked and should have settled by now; no statement has it",
        "ask the processor for the operation, then wait for the next statement or claim the money",
        _MONEY,
    ),
    ExceptionType(
        "REFUND_MISSING_IN_SETTLEMENT",
        _H,
        "a refund of {expected} was booked and no statement has it",
        "ask the processor whether the refund was paid, and send it again if it was not",
        _MONEY,
    ),
    ExceptionType(
        "ORPHAN_SETTLEMENT",
        _H,
        "the statement has {observed} under {reference}, which no booking of ours names",
        "find the payment by the processor's reference; return the money if it is not ours",
        _MONEY,
    ),
    ExceptionType(
        "AMBIGUOUS_MATCH",
        _M,
        "the statement has {observed} under {reference}, and several operations claim it",
        "choose the operation by hand; nothing is ever chosen for you",
        _MONEY,
    ),
    ExceptionType(
        "AMOUNT_MISMATCH",
        _H,
        "{expected} was booked and {observed} was settled under {reference}",
        "compare with the processor's own record, then claim or give back the difference",
        (*_MONEY, Choice.ACCEPT),
    ),
    ExceptionType(
        "WRONG_CURRENCY",
        _C,
        "{expected} was booked and {observed} was settled under {reference}",
        "claim the right currency from the processor; nothing is converted for you",
    ),
    ExceptionType(
        "DUPLICATE_SETTLEMENT",
        _C,
        "{observed} was settled a second time under {reference}",
        "give the excess back to the processor, or let it be set off",
    ),
    ExceptionType(
        "CONTRADICTORY_REFERENCES",
        _H,
        "the line of {observed} carries {reference} of one operation and the name of another",
        "ask the processor which of the two it is",
    ),
    ExceptionType(
        "EARLY_SETTLEMENT",
        _M,
        "{observed} was settled under {reference} while the outcome of its operation is not known",
        "use the line as the proof that ResolveInDoubt asks for",
    ),
    ExceptionType(
        "SETTLED_AFTER_DECLINE",
        _C,
        "{observed} was settled under {reference}, an operation that was declined here",
        "refund the customer, or credit what they paid for",
        (*_ALWAYS, Choice.ASK_CUSTOMER),
    ),
    ExceptionType(
        "EXTERNAL_REFUND",
        _H,
        "{observed} was refunded under {reference}, and not by us",
        "find out who refunded in the processor's back office, then book it to the merchant",
        (*_MONEY, Choice.ASK_CUSTOMER),
    ),
    ExceptionType(
        "CHARGEBACK_UNBOOKED",
        _C,
        "{observed} was taken back under {reference}, and no dispute is booked",
        "open the dispute, lock what the customer was given, and collect evidence",
        (*_MONEY, Choice.ASK_CUSTOMER),
    ),
    ExceptionType(
        "FEE_VARIANCE",
        _M,
        "the schedule says a fee of {expected} and {observed} was deducted under {reference}",
        "compare with the contract and claim the difference",
        (*_ALWAYS, Choice.ACCEPT),
    ),
    ExceptionType(
        "UNEXPECTED_FEE",
        _M,
        "a fee of {observed} was deducted under {reference}, and no schedule has it",
        "accept it and extend the schedule, or claim it back",
        (*_ALWAYS, Choice.ACCEPT),
    ),
    ExceptionType(
        "BATCH_TOTAL_MISMATCH",
        _C,
        "the payout {reference} pays {expected} and its lines sum to {observed}",
        "ask for the rows that are missing before the batch is trusted",
    ),
    ExceptionType(
        "UNKNOWN_RECORD_TYPE",
        _H,
        "the line {reference} of {observed} has a type that is in no list",
        "find the type in the provider's documentation and add it to the format",
        (*_ALWAYS, Choice.ACCEPT),
    ),
    ExceptionType(
        "LINE_UNPARSEABLE",
        _H,
        "a row of the statement cannot be read",
        "get the file again from the provider, without opening it in a spreadsheet",
    ),
    ExceptionType(
        "IDENTIFIER_CORRUPTED",
        _H,
        "a row of the statement has an identifier that lost its digits",
        "get the file again from the provider, without opening it in a spreadsheet",
    ),
    ExceptionType(
        "FILE_RESTATED",
        _H,
        "a row contradicts the same row of an earlier statement",
        "ask the provider which of the two holds, and keep the answer as evidence",
    ),
)
CATALOGUE = {row.code: row for row in _ROWS}


def sentence(
    kind: ExceptionType, *, expected: str, observed: str, reference: str, detail: str = ""
) -> str:
    """What a person reads: the fact, what else is known, and the next step."""
    fact = kind.meaning.format(expected=expected, observed=observed, reference=reference)
    more = f" ({detail})" if detail else ""
    return f"{fact}{more}. Next: {kind.next_step}."


def choice_of(kind: ExceptionType, word: str) -> Choice:
    """The choice that a person named; FieldInvalid lists those of the type."""
    for choice in kind.choices:
        if choice == word:
            return choice
    raise FieldInvalid(
        "disposition", word[:64], f"one of {', '.join(kind.choices)} for {kind.code}"
    )


def due(found: datetime, severity: Severity) -> datetime:
    """When it must be solved: business time, Monday to Friday in UTC."""
    left, moment = TIME_TO_SOLVE[severity], found
    while True:
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        if moment.weekday() >= SATURDAY:
            moment = midnight
            continue
        if left <= midnight - moment:
            return moment + left
        left -= midnight - moment
        moment = midnight
