"""What one run decided, frozen before any of it is applied, so that a crash changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

import orjson

from cashier_recon.domain.bridge import Bridge, BridgeLine
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.lifecycle import LineEvent, LineState, RunState
from cashier_recon.domain.matching import Verdict, match
from cashier_recon.domain.payment_fact import Leg
from cashier_recon.domain.statement import Category, Line, RejectedRow

MISSING = {Leg.REFUND: "REFUND_MISSING_IN_SETTLEMENT"}
MISSING_ELSE = "MISSING_IN_SETTLEMENT"
BATCH = "BATCH_TOTAL_MISMATCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One reconciliation. `processor_accounts` empty means all."""

    run_id: str
    state: RunState
    cutoff_time: datetime
    processor_accounts: tuple[str, ...]
    planned: bool
    create_time: datetime
    bridge: tuple[BridgeLine, ...] = ()
    matched_count: int = 0
    exception_counts: dict[str, int]
    detail: str = ""
    finish_time: datetime | None = None
    result_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A line that a run looks at: new, or still in suspense."""

    line: Line
    state: LineState


@dataclass(frozen=True, slots=True)
class Refused:
    """A rejected row that no run has seen."""

    statement_id: str
    processor_account: str
    row: RejectedRow


@dataclass(frozen=True, slots=True)
class Payout:
    """What the lines of a processor's payout sum to, the payout's own row apart."""

    processor_account: str
    payout: str
    asset: str
    net: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One decision. `second` is a further exception about the same line, with its two amounts."""

    number: int = 0
    outcome: str
    line: Line | None = None
    before: LineState = LineState.NEW
    event: LineEvent | None = None
    operation: Expectation | None = None
    related: Expectation | None = None
    refused: Refused | None = None
    second: str = ""
    second_expected: int | None = None
    second_observed: int | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What the item is about, independent of the order of rows and files."""
        if self.line is not None:
            line = self.line
            return (line.processor_account, "line", line.external_id, str(line.occurrence))
        if self.refused is not None:
            row = self.refused
            return (row.processor_account, "row", row.row.external_id, row.row.raw)
        if self.operation is None:
            raise ValueError(f"an item of outcome {self.outcome} is about nothing")
        return (self.operation.processor_account, "booking", self.operation.operation, "")


@dataclass(frozen=True, slots=True)
class Plan:
    """All decisions of a run, numbered, and the named differences."""

    items: tuple[Item, ...]
    bridge: Bridge
    is_complete: bool
    """False where the money of a row is not even known."""


def plan_run(
    waiting: Sequence[Waiting],
    candidates: Sequence[Expectation],
    *,
    overdue: Iterable[Expectation],
    refused: Iterable[Refused],
    payouts: Iterable[Payout],
) -> Plan:
    """Decide about every line, every overdue expectation and every row that could not be read."""
    states = {one.line.line_id: one.state for one in waiting}
    sums = {(p.processor_account, p.payout, p.asset): p.net for p in payouts}
    bridge, items, claimed, is_complete = Bridge(), [], set(), True
    for verdict in match((one.line for one in waiting), candidates):
        before = states[verdict.line.line_id]
        if before is LineState.SUSPENDED and verdict.event is LineEvent.SUSPEND:
            continue  # still waiting: said and booked by an earlier run
        bridge.add_verdict(verdict, before)
        if verdict.operation is not None:
            claimed.add(verdict.operation.operation)
        items.append(_line_item(verdict, before, sums))
    for expectation in overdue:
        if expectation.operation not in claimed:
            label = MISSING.get(expectation.leg, MISSING_ELSE)
            bridge.add_missing(expectation, label)
            items.append(Item(outcome=label, operation=expectation))
    for row in refused:
        known = bridge.add_rejected(row.row, row.processor_account)
        is_complete = is_complete and known
        items.append(Item(outcome=row.row.reject, refused=row))
    items.sort(key=lambda item: item.key)
    numbered = tuple(replace(item, number=n) for n, item in enumerate(items, start=1))
    return Plan(numbered, bridge, is_complete)


def _line_item(verdict: Verdict, before: LineState, sums: dict[tuple[str, str, str], int]) -> Item:
    line = verdict.line
    second, second_expected, second_observed = verdict.fee_outcome, None, None
    if second and verdict.operation is not None:
        second_expected, second_observed = verdict.operation.expected_fee, line.fee
    elif line.category is Category.BANK and line.payout:
        rest = sums.get((line.processor_account, line.payout, line.asset), 0)
        if rest + line.net:
            second, second_expected, second_observed = BATCH, -line.net, rest
    return Item(
        outcome=verdict.outcome,
        line=line,
        before=before,
        event=verdict.event,
        operation=verdict.operation,
        related=verdict.related,
        second=second,
        second_expected=second_expected,
        second_observed=second_observed,
    )


def result_hash(items: Iterable[Item], bridge: Iterable[BridgeLine], state: RunState) -> bytes:
    """SHA-256 over what was decided: equal inputs, in any order, give equal hashes."""
    told = [
        [
            *item.key,
            str(item.outcome),
            item.operation.operation if item.operation else "",
            item.related.operation if item.related else "",
            item.second,
            item.second_expected,
            item.second_observed,
            [item.line.asset, item.line.amount, item.line.fee] if item.line else [],
        ]
        for item in items
    ]
    named = [
        [line.label, line.processor_account, line.asset, line.amount, line.count] for line in bridge
    ]
    return sha256(orjson.dumps([sorted(told, key=lambda t: t[:4]), named, state])).digest()
