"""Keep what became of a payment, once per idempotency key, and let velocity know."""

from cashier_common.db.failures import CommitUnknown
from cashier_common.errors import IdempotencyKeyReused, ResourceNotFound
from cashier_risk.domain.assessment import assessment_name
from cashier_risk.domain.facts import Facts
from cashier_risk.domain.outcome import SERIES, Report, ReportedOutcome, outcome_name
from cashier_risk.domain.velocity import Subjects
from cashier_risk.flows.ports import AlreadyKept, By, Desk


async def report_outcome(report: Report, key: str, by: By, desk: Desk) -> bool:
    """Keep the report; True when an earlier call with this key kept it.

    A crash after the commit leaves the fast counters without it until they are filled again; the
    caller's repetition adds it too. ResourceNotFound when the payment was never assessed,
    IdempotencyKeyReused when the key brought another report before.
    """
    name = assessment_name(report.merchant, report.payment)
    stored = await desk.archive.assessment(name)
    if stored is None:
        raise ResourceNotFound(name=f"assessment of {report.payment}")
    subjects = Facts.of(stored.features).asked.subjects
    outcome = ReportedOutcome(outcome_name(name, key), key, name, report, desk.clock.now())
    replayed = False
    try:
        try:
            await _keep(outcome, subjects, by, desk)
        except CommitUnknown:
            await _keep(outcome, subjects, by, desk)  # the same key: finds out, as in assess
    except AlreadyKept:
        before = await desk.archive.outcome_fingerprint(report.merchant, key)
        if before != report.fingerprint():
            raise IdempotencyKeyReused(merchant=report.merchant) from None
        replayed = True
    series = SERIES.get(report.outcome)
    if series is not None and desk.counters is not None:
        await desk.counters.happened(series, subjects, report.payment, outcome.create_time)
    return replayed


async def _keep(outcome: ReportedOutcome, subjects: Subjects, by: By, desk: Desk) -> None:
    async with desk.begin() as book:
        book.add_outcome(outcome, subjects, by)
