"""Assess a payment once: the same payment asked again gets the same answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cashier_common.db.failures import CommitUnknown
from cashier_common.errors import Kind, Refusal
from cashier_risk.domain.assessment import Assessment, assess_facts, assessment_name
from cashier_risk.domain.facts import Asked, Facts
from cashier_risk.flows.ports import AlreadyKept, By, Desk


@dataclass
class AssessmentReused(Refusal):
    """The payment was assessed before with other facts."""

    kind = Kind.REFUSED
    reason = "IDEMPOTENCY_KEY_REUSED"
    text = (
        "{payment} was assessed before with another request: "
        "repeat the first request unchanged, or create a new payment"
    )
    payment: str


@dataclass(frozen=True, slots=True)
class Assessed:
    """The answer; `replayed` says that an earlier call made it."""

    assessment: Assessment
    replayed: bool


async def assess(asked: Asked, by: By, desk: Desk) -> Assessed:
    """Decide and write it down in one statement; whoever comes second reads what stands.

    A crash before the statement leaves at most an attempt too many in the counters: more careful,
    never less. Raises AssessmentReused for other facts, StoreUnavailable when nothing can be kept.
    """
    at = desk.clock.now()
    velocity, degraded = await _velocity(asked, desk, at)
    assessment = assess_facts(Facts(asked, velocity, degraded), desk.rules, at=at)
    try:
        try:
            await _keep(assessment, asked, by, desk)
        except CommitUnknown:
            # Whether it was kept or not, keeping the same name again finds out: it waits for the
            # first try's commit or rollback and then either finds it or is the first itself.
            await _keep(assessment, asked, by, desk)
    except AlreadyKept:
        return Assessed(await _stored(assessment, desk), replayed=True)
    return Assessed(assessment, replayed=False)


async def _keep(assessment: Assessment, asked: Asked, by: By, desk: Desk) -> None:
    async with desk.begin() as book:
        book.add_assessment(assessment, asked, desk.rules, by)


async def _stored(assessment: Assessment, desk: Desk) -> Assessment:
    stored = await desk.archive.assessment(assessment.name)
    if stored is None or stored.fingerprint != assessment.fingerprint:
        raise AssessmentReused(payment=assessment.payment)
    return stored


async def _velocity(asked: Asked, desk: Desk, at: datetime) -> tuple[Mapping[str, int], bool]:
    """The counts, and whether the decision is degraded.

    Counters that are away or may lack something are never taken for a low count: the truth is
    asked instead. Away is also said, because the truth does not see attempts under way.
    """
    subjects = asked.subjects
    away = False
    if desk.counters is not None:
        counted = await desk.counters.attempt(subjects, asked.payment, at)
        if counted is not None and counted.trusted:
            return counted.counts, False
        away = counted is None
        desk.refill(asked.merchant)
    name = assessment_name(asked.merchant, asked.payment)
    return await desk.truth.counts(asked, name=name, at=at), away
