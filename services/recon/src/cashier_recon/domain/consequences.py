"""What follows from one decision of a run: a journal, two moves, and exceptions found or solved."""

from dataclasses import dataclass, field

from cashier_common.money import Money
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.journal import (
    About,
    Account,
    Journal,
    processor_journal,
    released_journal,
    settlement_journal,
    suspended_journal,
)
from cashier_recon.domain.lifecycle import (
    EXPECTATION,
    LINE,
    ExpectationEvent,
    ExpectationState,
    LineEvent,
    LineState,
)
from cashier_recon.domain.matching import SETTLING, Outcome
from cashier_recon.domain.recon_exception import Found, exception_name, found
from cashier_recon.domain.run_plan import BATCH, Item, Run
from cashier_recon.domain.statement import Category, Line


@dataclass(slots=True)
class Consequences:
    """Of one item. `line_state` and `expectation_state` are None where nothing moves."""

    journal: Journal | None = None
    line_state: LineState | None = None
    expectation_state: ExpectationState | None = None
    found: list[Found] = field(default_factory=list)
    solved: list[str] = field(default_factory=list)


def consequences(item: Item, run: Run) -> Consequences:
    """Everything that applying the item writes; the same for the same item and run."""
    if item.line is not None:
        return _of_line(item, item.line, run)
    if item.refused is not None:
        return Consequences(found=[_refused(item, run)])
    if item.operation is None:
        raise ValueError(f"item {item.number} of {run.run_id} is about nothing")
    return Consequences(found=[_missing(item, item.operation, run)])


def booking_exception(expectation: Expectation) -> str:
    """The id of what can be wrong about an expectation as a whole."""
    return exception_name(
        processor_account=expectation.processor_account,
        leg="booking",
        key=expectation.operation,
        asset=expectation.asset,
    )


def line_exception(line: Line) -> str:
    """The id of what can be wrong about a line."""
    return exception_name(
        processor_account=line.processor_account, leg="line", key=line.line_id, asset=line.asset
    )


def _of_line(item: Item, line: Line, run: Run) -> Consequences:
    event = item.event or LineEvent.PARK
    done = Consequences(line_state=LINE.next(item.before, event))
    done.journal = _journal(item, line, event, run)
    if item.operation is not None and item.outcome in SETTLING:
        is_equal = item.outcome == Outcome.MATCHED
        happens = ExpectationEvent.SETTLE if is_equal else ExpectationEvent.DIFFER
        done.expectation_state = EXPECTATION.next(item.operation.state, happens)
        done.solved.append(booking_exception(item.operation))
        if item.before is LineState.SUSPENDED:
            done.solved.append(line_exception(line))
    if item.outcome not in {Outcome.MATCHED, Outcome.PROCESSOR_LINE}:
        one = _about_line(item, line, run)
        done.solved = [name for name in done.solved if name != one.exception_id]
        done.found.append(one)
    if item.second:
        done.found.append(_second(item, line, run))
    return done


def _journal(item: Item, line: Line, event: LineEvent, run: Run) -> Journal | None:
    at, operation = run.cutoff_time, item.operation
    if event in {LineEvent.SETTLE, LineEvent.DIFFER} and operation is not None:
        about = About(operation.merchant, operation.payment, operation.operation)
        if item.before is LineState.SUSPENDED:
            parked = _parking(line)
            return released_journal(
                line, parked=parked, account=operation.account, at=at, about=about
            )
        return settlement_journal(line, account=operation.account, at=at, about=about)
    if item.before is LineState.SUSPENDED:
        return None  # it is in suspense already, and stays there
    if event is LineEvent.BOOK:
        return processor_journal(line, at=at)
    return suspended_journal(line, parked=_parking(line), at=at)


def _parking(line: Line) -> Account:
    return Account.CHARGEBACKS if line.category is Category.DISPUTE else Account.SUSPENSE


def _about_line(item: Item, line: Line, run: Run) -> Found:
    about = item.operation or item.related
    expected = None
    if item.operation is not None:
        expected = Money(item.operation.amount, item.operation.asset)
    return found(
        item.outcome,
        leg="line",
        key=line.line_id,
        asset=line.asset,
        processor_account=line.processor_account,
        run_id=run.run_id,
        at=run.create_time,
        expected=expected,
        observed=Money(line.amount, line.asset),
        reference=line.source or line.external_id,
        merchant=about.merchant if about else "",
        payment=about.payment if about else "",
        operation=about.operation if about else "",
        line_id=line.line_id,
        detail=f"{line.type} {line.external_id}",
    )


def _second(item: Item, line: Line, run: Run) -> Found:
    about, is_batch = item.operation, item.second == BATCH
    expected, observed = item.second_expected, item.second_observed
    return found(
        item.second,
        leg="batch" if is_batch else "fee",
        key=line.payout if is_batch else line.line_id,
        asset=line.asset,
        processor_account=line.processor_account,
        run_id=run.run_id,
        at=run.create_time,
        expected=None if expected is None else Money(expected, line.asset),
        observed=None if observed is None else Money(observed, line.asset),
        reference=line.payout if is_batch else line.source,
        merchant=about.merchant if about else "",
        payment=about.payment if about else "",
        operation=about.operation if about else "",
        line_id=line.line_id,
    )


def _missing(item: Item, expectation: Expectation, run: Run) -> Found:
    return found(
        item.outcome,
        leg="booking",
        key=expectation.operation,
        asset=expectation.asset,
        processor_account=expectation.processor_account,
        run_id=run.run_id,
        at=run.create_time,
        expected=Money(expectation.amount, expectation.asset),
        reference=expectation.processor_reference,
        merchant=expectation.merchant,
        payment=expectation.payment,
        operation=expectation.operation,
        detail=f"due {expectation.due_time:%Y-%m-%d %H:%M} UTC" if expectation.due_time else "",
    )


def _refused(item: Item, run: Run) -> Found:
    refused = item.refused
    if refused is None:
        raise ValueError(f"item {item.number} of {run.run_id} has no row")
    row = refused.row
    observed = None
    if row.asset is not None and row.net is not None:
        observed = Money(row.net, row.asset)
    return found(
        item.outcome,
        leg="row",
        key=f"{refused.statement_id}/{row.row}",
        asset=row.asset or "",
        processor_account=refused.processor_account,
        run_id=run.run_id,
        at=run.create_time,
        observed=observed,
        reference=row.external_id,
        detail=f"{refused.statement_id}, {row.detail}",
    )
