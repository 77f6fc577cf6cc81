"""Which line settles which operation: by reference alone, each line and each operation once.

This is the boundary of the engine: lines and candidate expectations in, one verdict per line out,
whatever the order they come in.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.lifecycle import ExpectationState, LineEvent
from cashier_recon.domain.payment_fact import Leg
from cashier_recon.domain.statement import Category, Line

# Processors round a share of the amount their own way; one minor unit is no variance.
FEE_ROUNDING_MINOR = 1
_OPERATION = re.compile(r"(payments/pay_[a-z0-9]+)/operations/[0-9]+")


class Outcome(StrEnum):
    """What a line turned out to be. All but MATCHED and PROCESSOR_LINE are types of exception."""

    MATCHED = "MATCHED"
    PROCESSOR_LINE = "PROCESSOR_LINE"  # between the processor and our bank, or reserves
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    WRONG_CURRENCY = "WRONG_CURRENCY"
    DUPLICATE_SETTLEMENT = "DUPLICATE_SETTLEMENT"
    ORPHAN_SETTLEMENT = "ORPHAN_SETTLEMENT"
    AMBIGUOUS_MATCH = "AMBIGUOUS_MATCH"
    CONTRADICTORY_REFERENCES = "CONTRADICTORY_REFERENCES"
    EARLY_SETTLEMENT = "EARLY_SETTLEMENT"
    SETTLED_AFTER_DECLINE = "SETTLED_AFTER_DECLINE"
    EXTERNAL_REFUND = "EXTERNAL_REFUND"
    CHARGEBACK_UNBOOKED = "CHARGEBACK_UNBOOKED"
    UNEXPECTED_FEE = "UNEXPECTED_FEE"
    UNKNOWN_RECORD_TYPE = "UNKNOWN_RECORD_TYPE"


SETTLING = frozenset({Outcome.MATCHED, Outcome.AMOUNT_MISMATCH, Outcome.WRONG_CURRENCY})
_EVENTS = {
    Outcome.MATCHED: LineEvent.SETTLE,
    Outcome.AMOUNT_MISMATCH: LineEvent.DIFFER,
    Outcome.PROCESSOR_LINE: LineEvent.BOOK,
    Outcome.UNEXPECTED_FEE: LineEvent.BOOK,
    Outcome.ORPHAN_SETTLEMENT: LineEvent.SUSPEND,
    Outcome.EARLY_SETTLEMENT: LineEvent.SUSPEND,
    Outcome.EXTERNAL_REFUND: LineEvent.SUSPEND,
    Outcome.CHARGEBACK_UNBOOKED: LineEvent.SUSPEND,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one line is. `operation` is settled by it; `related` is what it seems to be about."""

    line: Line
    outcome: Outcome
    operation: Expectation | None = None
    related: Expectation | None = None
    fee_outcome: str = ""

    @property
    def event(self) -> LineEvent:
        """What happens to the line: whatever may still find its operation waits in suspense."""
        return _EVENTS.get(self.outcome, LineEvent.PARK)


def match(lines: Iterable[Line], expectations: Iterable[Expectation]) -> list[Verdict]:
    """One verdict per line, in the order of line ids.

    `expectations` must hold every one that shares an account and a reference with a line; others
    change nothing.
    """
    index = _Index(expectations)
    verdicts: list[Verdict] = []
    claims: dict[str, list[Line]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: (line.created, line.line_id)):
        verdict, claimed = _first_look(line, index)
        if verdict is not None:
            verdicts.append(verdict)
        elif claimed is not None:
            claims[claimed.operation].append(line)
    for operation, claimants in claims.items():
        verdicts += _share_out(index.by_operation[operation], claimants)
    return sorted(verdicts, key=lambda verdict: verdict.line.line_id)


class _Index:
    def __init__(self, expectations: Iterable[Expectation]) -> None:
        self.by_operation: dict[str, Expectation] = {}
        self.moved: set[str] = set()
        self.by_reference: dict[tuple[str, str], list[Expectation]] = defaultdict(list)
        for expectation in expectations:
            if expectation.operation in self.by_operation:
                continue
            self.by_operation[expectation.operation] = expectation
            if expectation.processor_reference:
                key = expectation.processor_account, expectation.processor_reference
                self.by_reference[key].append(expectation)

    def named(self, line: Line) -> Expectation | None:
        """The operation of this account that the description names."""
        found = self.by_operation.get(line.description)
        return found if found and found.processor_account == line.processor_account else None

    def movement(self, line: Line, fitting: list[Expectation]) -> list[Expectation]:
        """The one movement of a dispute that a line is, if any.

        Money goes away and comes back under one reference: lines and movements of one sign are
        paired as they come.
        """
        same = [found for found in fitting if (found.amount < 0) is (line.amount < 0)]
        free = [
            found
            for found in same
            if found.state is ExpectationState.OPEN and found.operation not in self.moved
        ]
        best = min(
            free or same,
            key=lambda found: (found.amount != line.amount, found.book_time, found.operation),
            default=None,
        )
        if best is None:
            return []
        self.moved.add(best.operation)
        return [best]

    def referred(self, line: Line) -> list[Expectation]:
        if not line.source:
            return []
        return self.by_reference.get((line.processor_account, line.source), [])


def _first_look(line: Line, index: _Index) -> tuple[Verdict | None, Expectation | None]:
    """A verdict where the line alone decides it; else the expectation that it claims."""
    if line.category is Category.UNKNOWN:
        return Verdict(line, Outcome.UNKNOWN_RECORD_TYPE), None
    if line.category in {Category.BANK, Category.RESERVE}:
        return Verdict(line, Outcome.PROCESSOR_LINE), None
    if line.category is Category.FEE:
        return Verdict(line, Outcome.UNEXPECTED_FEE), None
    named, referred = index.named(line), index.referred(line)
    related = named or min(referred, key=lambda found: found.operation, default=None)
    fitting = [found for found in referred if _settles(found, line)]
    if line.category is Category.DISPUTE:
        fitting = index.movement(line, fitting)
    if named is not None and not _settles(named, line):
        named = None
    if named is not None and (not fitting or named in fitting):
        return None, named
    if named is not None or (len(fitting) == 1 and _contradicts(line, fitting[0])):
        return Verdict(line, Outcome.CONTRADICTORY_REFERENCES, related=related), None
    if len(fitting) == 1:
        return None, fitting[0]
    if fitting:
        return Verdict(line, Outcome.AMBIGUOUS_MATCH, related=related), None
    return Verdict(line, _unclaimed(line), related=related), None


def _settles(found: Expectation, line: Line) -> bool:
    return found.leg in line.category.legs and found.state is not ExpectationState.RELEASED


def _contradicts(line: Line, found: Expectation) -> bool:
    """The description names an operation of ours, and of another payment."""
    name = _OPERATION.fullmatch(line.description)
    return name is not None and name[1] != found.payment


def _unclaimed(line: Line) -> Outcome:
    if line.category is Category.REFUND:
        return Outcome.EXTERNAL_REFUND
    if line.category is Category.DISPUTE:
        return Outcome.CHARGEBACK_UNBOOKED
    return Outcome.ORPHAN_SETTLEMENT


def _share_out(expectation: Expectation, claimants: Sequence[Line]) -> list[Verdict]:
    """All lines that claim one operation: the best one settles it, the others are duplicates."""
    outcome = {
        ExpectationState.PENDING: Outcome.EARLY_SETTLEMENT,
        ExpectationState.DOUBT: Outcome.EARLY_SETTLEMENT,
        ExpectationState.DECLINED: Outcome.SETTLED_AFTER_DECLINE,
        ExpectationState.WRITTEN_OFF: Outcome.ORPHAN_SETTLEMENT,
    }.get(expectation.state, Outcome.DUPLICATE_SETTLEMENT)
    verdicts = []
    rest: Sequence[Line] = claimants
    if expectation.state is ExpectationState.OPEN:
        best, *rest = sorted(claimants, key=lambda line: _fitness(line, expectation))
        verdicts.append(_settled(best, expectation))
    return verdicts + [Verdict(line, outcome, related=expectation) for line in rest]


def _fitness(line: Line, expectation: Expectation) -> tuple[bool, bool, object, str]:
    return (
        line.asset != expectation.asset,
        line.amount != expectation.amount,
        line.created,
        line.line_id,
    )


def _settled(line: Line, expectation: Expectation) -> Verdict:
    if line.asset != expectation.asset:
        return Verdict(line, Outcome.WRONG_CURRENCY, operation=expectation)
    if line.amount != expectation.amount:
        return Verdict(line, Outcome.AMOUNT_MISMATCH, operation=expectation)
    return Verdict(
        line, Outcome.MATCHED, operation=expectation, fee_outcome=_fee(line, expectation)
    )


def _fee(line: Line, expectation: Expectation) -> str:
    if expectation.leg is Leg.DISPUTE and expectation.expected_fee is None:
        return ""  # its penalty is known from the line alone, where the processor never told it
    if line.fee and not expectation.expected_fee:
        return "UNEXPECTED_FEE"
    if abs(line.fee - (expectation.expected_fee or 0)) > FEE_ROUNDING_MINOR:
        return "FEE_VARIANCE"
    return ""
