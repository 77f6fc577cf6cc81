"""An exception: what was found, under an id that stays the same from run to run."""

from dataclasses import dataclass
from datetime import datetime

from cashier_common.assets import to_decimal
from cashier_common.ids import derived_name
from cashier_common.money import Money
from cashier_recon.domain.catalogue import CATALOGUE, Severity, due, sentence
from cashier_recon.domain.lifecycle import ExceptionState

NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run found; the row of an exception, before anybody worked on it."""

    exception_id: str
    type: str
    severity: Severity
    merchant: str
    processor_account: str
    payment: str
    operation: str
    line_id: str
    expected: Money | None
    observed: Money | None
    statement_reference: str
    detail: str
    run_id: str
    due_time: datetime
    found_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconException:
    """An exception as it stands; `version` is its etag."""

    found: Found
    state: ExceptionState
    version: int
    assignee: str
    disposition: str
    create_time: datetime
    update_time: datetime

    @property
    def difference(self) -> Money | None:
        """Observed less expected, where both are of one asset."""
        expected, observed = self.found.expected, self.found.observed
        if expected is None or observed is None:
            return observed or (-expected if expected else None)
        return observed - expected if observed.asset == expected.asset else None


def exception_name(*, processor_account: str, leg: str, key: str, asset: str) -> str:
    """`exceptions/exc_…` from where it is, not what it is: its type may change, its id not."""
    return derived_name("exceptions", "exc", processor_account, leg, key, asset)


def found(
    kind: str,
    *,
    leg: str,
    key: str,
    asset: str,
    processor_account: str,
    run_id: str,
    at: datetime,
    expected: Money | None = None,
    observed: Money | None = None,
    reference: str = "",
    merchant: str = "",
    payment: str = "",
    operation: str = "",
    line_id: str = "",
    detail: str = "",
) -> Found:
    """What a run found, with severity, due time and sentence from the catalogue."""
    row = CATALOGUE[kind]
    return Found(
        exception_id=exception_name(
            processor_account=processor_account, leg=leg, key=key, asset=asset
        ),
        type=kind,
        severity=row.severity,
        merchant=merchant,
        processor_account=processor_account,
        payment=payment,
        operation=operation,
        line_id=line_id,
        expected=expected,
        observed=observed,
        statement_reference=reference,
        detail=sentence(
            row,
            expected=_words(expected),
            observed=_words(observed),
            reference=reference or "no reference",
            detail=detail,
        ),
        run_id=run_id,
        due_time=due(at, row.severity),
        found_time=at,
    )


def _words(money: Money | None) -> str:
    return f"{to_decimal(money)} {money.asset}" if money else NOTHING
