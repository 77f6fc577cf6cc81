"""From what was expected to what the statements say: a sum of named lines, nothing left over."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.lifecycle import LineState
from cashier_recon.domain.matching import SETTLING, Outcome, Verdict
from cashier_recon.domain.statement import RejectedRow

EXPECTED, OBSERVED, MATCHED, RESIDUAL = "EXPECTED", "OBSERVED", "MATCHED", "RESIDUAL"
# These say what both sides have, or what the difference is made from; all others are differences.
TOTALS = frozenset({EXPECTED, OBSERVED, MATCHED, RESIDUAL})
Cell = tuple[str, str]
"""Processor account and asset."""


@dataclass(frozen=True, slots=True)
class BridgeLine:
    """Net of fees, in minor units, signed. EXPECTED + all differences = OBSERVED - RESIDUAL."""

    label: str
    processor_account: str
    asset: str
    amount: int
    count: int


class Bridge:
    """Collects the named differences of one run."""

    def __init__(self) -> None:
        self._amounts: dict[tuple[Cell, str], int] = defaultdict(int)
        self._counts: dict[tuple[Cell, str], int] = defaultdict(int)

    def add_verdict(self, verdict: Verdict, before: LineState) -> None:
        """Name the difference that a line makes; one that was in suspense is no news twice."""
        line, settled = verdict.line, verdict.operation
        cell = line.processor_account, line.asset
        fresh = before is LineState.NEW
        if verdict.outcome not in SETTLING or settled is None:
            if fresh:
                self._add(cell, verdict.outcome, line.net)
            return
        if not fresh:
            self._add(cell, "SUSPENSE_RELEASED", -line.net)
        expected_fee = settled.expected_fee or 0
        if verdict.outcome is Outcome.WRONG_CURRENCY:
            self._add(cell, verdict.outcome, line.net)
            other = settled.processor_account, settled.asset
            self._add(other, verdict.outcome, expected_fee - settled.amount)
            return
        self._add(cell, MATCHED, line.net)
        if verdict.outcome is Outcome.AMOUNT_MISMATCH:
            self._add(cell, verdict.outcome, line.amount - settled.amount)
        if line.fee != expected_fee:
            label = verdict.fee_outcome or "FEE_DIFFERENCE"
            self._add(cell, label, expected_fee - line.fee)

    def add_missing(self, expectation: Expectation, label: str) -> None:
        """Name what should have come and did not."""
        cell = expectation.processor_account, expectation.asset
        self._add(cell, label, (expectation.expected_fee or 0) - expectation.amount)

    def add_rejected(self, row: RejectedRow, processor_account: str) -> bool:
        """Name the money of a row that could not be read; False when not even that is known."""
        if row.asset is None or row.net is None:
            return False
        self._add((processor_account, row.asset), row.reject, row.net)
        return True

    def closed(
        self, *, expected: Mapping[Cell, int], observed: Mapping[Cell, int]
    ) -> list[BridgeLine]:
        """All lines in order, with both totals (counted by the database) and the residual."""
        cells = {cell for cell, _ in self._amounts} | set(expected) | set(observed)
        lines: list[BridgeLine] = []
        for account, asset in sorted(cells):
            cell = account, asset
            named = [key for key in sorted(self._amounts) if key[0] == cell]
            explained = sum(self._amounts[key] for key in named if key[1] not in TOTALS)
            start, end = expected.get(cell, 0), observed.get(cell, 0)
            lines.append(BridgeLine(EXPECTED, account, asset, start, 0))
            lines += [
                BridgeLine(label, account, asset, self._amounts[key], self._counts[key])
                for key in named
                for label in (key[1],)
            ]
            lines.append(BridgeLine(OBSERVED, account, asset, end, 0))
            lines.append(BridgeLine(RESIDUAL, account, asset, end - start - explained, 0))
        return lines

    def _add(self, cell: Cell, label: str, amount: int) -> None:
        self._amounts[cell, str(label)] += amount
        self._counts[cell, str(label)] += 1


def has_residual(lines: Iterable[BridgeLine]) -> bool:
    """Whether some money has no name."""
    return any(line.label == RESIDUAL and line.amount for line in lines)
