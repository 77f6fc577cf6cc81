"""What a batch of the router's events adds to the books: journals and expectations, each once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cashier_common import assets
from cashier_common.errors import TransitionRefused
from cashier_recon.domain.dispute_fact import (
    DisputeFact,
    dispute_expectations,
    dispute_journals,
)
from cashier_recon.domain.errors import EventUnbookable
from cashier_recon.domain.expectation import Expectation, follow
from cashier_recon.domain.journal import Journal, operation_journal
from cashier_recon.domain.lifecycle import ExpectationEvent
from cashier_recon.domain.payment_fact import (
    OperationKind,
    PaymentFact,
    expectation_event,
)
from cashier_recon.domain.statement import INT64_MAX


@dataclass(frozen=True, slots=True)
class FedEvent:
    """One position of a shard; no fact where the step was about nothing that books care for."""

    position: int
    fact: PaymentFact | None = None
    dispute: DisputeFact | None = None


@dataclass(slots=True)
class Posting:
    """What to write so that the books stand at `position`."""

    position: int
    journals: list[Journal] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    stopped_by: EventUnbookable | None = None
    """The event behind `position` that cannot be booked, if the batch met one."""


def plan(
    events: Sequence[FedEvent], *, after: int, known: Mapping[str, Expectation] | None = None
) -> Posting:
    """Fold the events in order. `known` are expectations that stand already, where they were read.

    Stops in front of the first event that cannot be booked: what came before is still posted.
    """
    standing: dict[str, Expectation] = dict(known or {})
    touched: dict[str, Expectation] = {}
    posting = Posting(position=after)
    for event in events:
        if event.position <= posting.position:
            continue  # sent again by a stream that began earlier
        try:
            _add(event.fact, standing, touched, posting.journals)
            _add_dispute(event.dispute, standing, touched, posting.journals)
        except EventUnbookable as error:
            posting.stopped_by = error
            break
        posting.position = event.position
    posting.expectations = list(touched.values())
    return posting


def operations_of(events: Iterable[FedEvent]) -> list[str]:
    """The operations, and the movements of disputes, that the events are about."""
    names: set[str] = set()
    for event in events:
        if event.fact:
            names.add(event.fact.operation)
        if event.dispute:
            names |= {one.operation for one in dispute_expectations(event.dispute)}
    return sorted(names)


def _add(
    fact: PaymentFact | None,
    standing: dict[str, Expectation],
    touched: dict[str, Expectation],
    journals: list[Journal],
) -> None:
    event = expectation_event(fact) if fact else None
    if fact is None or event is None:
        return
    problem = _problem(fact, event)
    if problem:
        raise EventUnbookable(shard=fact.shard, position=fact.position, problem=problem)
    try:
        later = follow(standing.get(fact.operation), fact, event)
    except TransitionRefused as error:
        raise EventUnbookable(
            shard=fact.shard, position=fact.position, problem=f"{fact.operation}: {error}"
        ) from None
    if later is None:
        return
    standing[fact.operation] = touched[fact.operation] = later
    if event is ExpectationEvent.BOOK:
        journals.append(operation_journal(fact))


def _add_dispute(
    fact: DisputeFact | None,
    standing: dict[str, Expectation],
    touched: dict[str, Expectation],
    journals: list[Journal],
) -> None:
    if fact is None:
        return
    wanted = list(dispute_expectations(fact))
    if any(one.operation in standing for one in wanted):
        return  # this step is booked
    booked = list(dispute_journals(fact))
    if booked and not assets.is_known(fact.asset):
        problem = f"{fact.dispute} is in {fact.asset!r}, which the asset registry does not have"
        raise EventUnbookable(shard=fact.shard, position=fact.position, problem=problem)
    for one in wanted:
        standing[one.operation] = touched[one.operation] = one
    journals += booked


def _problem(fact: PaymentFact, event: ExpectationEvent) -> str:
    """Why the fact cannot be booked; empty when it can."""
    if event is not ExpectationEvent.BOOK:
        return ""
    name = fact.operation or "an operation without a name"
    if fact.kind is OperationKind.UNKNOWN:
        return f"{name} succeeded and is of a kind that this version does not know"
    if not 0 < fact.amount <= INT64_MAX:
        return f"{name} succeeded with the amount {fact.amount}, which must be positive"
    if not assets.is_known(fact.asset):
        return f"{name} succeeded in asset {fact.asset!r}, which the asset registry does not have"
    missing = [
        word
        for word, value in (
            ("operation", fact.operation),
            ("merchant", fact.merchant),
            ("processor_account", fact.processor_account),
        )
        if not value
    ]
    return f"{name} succeeded without {', '.join(missing)}" if missing else ""
