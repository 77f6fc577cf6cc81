"""The decline map: processors' codes as rows, and the lint that refuses a dangerous row."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Decline

ANY = "*"
UNRECOGNISED = "UNRECOGNISED"


class Category(StrEnum):
    """What may follow a code; see money-safety.md §3."""

    NOT_SENT = "NOT_SENT"
    SOFT = "SOFT"
    HARD = "HARD"
    NEVER = "NEVER"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    PENDING = "PENDING"
    IN_DOUBT = "IN_DOUBT"


RETRYABLE = frozenset({Category.NOT_SENT, Category.SOFT})
EVENTS = {
    Category.NOT_SENT: Event.FAIL_UNSENT,
    Category.SOFT: Event.DECLINE_SOFT,
    Category.HARD: Event.DECLINE_HARD,
    Category.NEVER: Event.DECLINE_HARD,
    Category.ACTION_REQUIRED: Event.REQUIRE_ACTION,
    Category.PENDING: Event.PEND,
    Category.IN_DOUBT: Event.LOSE_TRACK,
}

# Our own words, each with what it is about; some families may never retry.
MEANINGS: Mapping[str, str] = {
    "TRY_AGAIN_LATER": "issuer",
    "ISSUER_UNAVAILABLE": "issuer",
    "PROCESSING_ERROR": "issuer",
    "DO_NOT_HONOR": "issuer",
    "NOT_PERMITTED": "issuer",
    "INSUFFICIENT_FUNDS": "funds",
    "LIMIT_EXCEEDED": "funds",
    "INVALID_ACCOUNT": "instrument",
    "EXPIRED_CARD": "instrument",
    "SECURITY_CODE_WRONG": "instrument",
    "INSTRUMENT_NOT_SUPPORTED": "instrument",
    "CURRENCY_NOT_SUPPORTED": "instrument",
    "AUTHENTICATION_REQUIRED": "authentication",
    "AUTHENTICATION_FAILED": "authentication",
    "AUTHORIZATION_REVOKED": "instrument",
    "NOT_CAPTURABLE": "state",
    "NOT_VOIDABLE": "state",
    "NOT_REFUNDABLE": "state",
    "NOT_FUNDED": "processor",
    "ACCOUNT_REFUSED": "processor",
    "RATE_LIMITED": "processor",
    "PROCESSOR_UNAVAILABLE": "processor",
    "UNRECOGNISED": "unknown",
    "OUTCOME_UNKNOWN": "unknown",
    "TIMEOUT": "timeout",
    "FRAUD_SUSPECTED": "fraud",
    "CARD_LOST_OR_STOLEN": "fraud",
    "SANCTIONED": "sanctions",
    "REQUEST_MALFORMED": "malformed",
}
# No other rail can capture, void or refund what this one holds.
NEVER_RETRYABLE_FAMILIES = frozenset(
    {"state", "unknown", "timeout", "fraud", "sanctions", "malformed"}
)
OPERATIONS = frozenset({ANY, *Kind})
# A second look at the processor's own word, for a row whose meaning was chosen too kindly.
SUSPICIOUS_CODE = re.compile(
    r"time_?d?_?out|timeout|fraud|stolen|lost_card|pick_?up|sanction|embargo|compliance|blocklist"
    r"|invalid_request|malformed|parameter|missing|revo(ke|cation)|duplicate|mismatch"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a map; `code` or `advice` may be `*`, and the most exact line wins."""

    operation: str
    code: str
    advice: str
    meaning: str
    category: Category


class DeclineMap:
    """The rows of one processor. A code in no row means no, and is never tried elsewhere."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self._rows = {(row.operation, row.code, row.advice): row for row in self.rows}

    def knows(self, *, operation: str, code: str) -> bool:
        """Whether some row is about this code."""
        return any(
            (place, code, advice) in self._rows
            for place in (operation, ANY)
            for advice in (ANY, *{row.advice for row in self.rows})
        )

    def read(self, *, operation: str, code: str, advice: str) -> tuple[Event, Decline]:
        """What an explicit no means; the words are kept as the processor sent them."""
        for key in (
            (operation, code, advice),
            (operation, code, ANY),
            (ANY, code, advice),
            (ANY, code, ANY),
        ):
            row = self._rows.get(key)
            if row is not None:
                decline = Decline(code, advice, row.meaning, row.category.value)
                return EVENTS[row.category], decline
        decline = Decline(code, advice, UNRECOGNISED, Category.HARD.value)
        return Event.DECLINE_HARD, decline


def read_rows(table: Iterable[Mapping[str, str]]) -> tuple[Row, ...]:
    """Rows of a declines file: `{code, meaning, category, operation?, advice?}` each."""
    return tuple(
        Row(
            operation=line.get("operation", ANY),
            code=line["code"],
            advice=line.get("advice", ANY),
            meaning=line["meaning"],
            category=Category(line["category"]),
        )
        for line in table
    )


def lint(rows: Iterable[Row]) -> list[str]:
    """A sentence for each row that must not be; empty when the map may be used."""
    return list(_faults(tuple(rows)))


def _faults(rows: tuple[Row, ...]) -> Iterator[str]:
    seen: set[tuple[str, str, str]] = set()
    for row in rows:
        name = f"{row.operation}/{row.code}/{row.advice}"
        family = MEANINGS.get(row.meaning)
        if family is None:
            yield f"{name} means {row.meaning}, which is no word of ours: choose one of MEANINGS"
        if row.operation not in OPERATIONS:
            yield f"{name} is about {row.operation}, which is no operation: choose a Kind or {ANY}"
        if row.code == ANY:
            yield f"{name} catches every code: what is in no row is DECLINED_HARD already"
        if (row.operation, row.code, row.advice) in seen:
            yield f"{name} stands twice: keep one of them"
        seen.add((row.operation, row.code, row.advice))
        if row.category not in RETRYABLE:
            continue
        if family in NEVER_RETRYABLE_FAMILIES:
            yield f"{name} is about {family} and {row.category}: such a code may never be retried"
        elif SUSPICIOUS_CODE.search(row.code.lower()):
            yield f"{name} is {row.category}, and its code speaks of what may never be retried"
