"""The book that flows write in: each unit leaves as one statement, its steps included."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import Text, bindparam, cast
from sqlalchemy.dialects.postgresql import JSONB, insert

from cashier_common.db.audit import STEP, step_params
from cashier_common.db.engine import Database
from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_risk.domain.assessment import Assessment
from cashier_risk.domain.facts import Asked
from cashier_risk.domain.outcome import SERIES, ReportedOutcome
from cashier_risk.domain.rules import RuleSet
from cashier_risk.domain.velocity import Subjects
from cashier_risk.flows.ports import AlreadyKept, By
from cashier_risk.storage.rows import assessment_row, subject_columns
from cashier_risk.storage.tables import assessments, outcomes, rule_sets

# The JSON is canonical text already; SQLAlchemy would encode it a second time.
_JSON_COLUMNS: Final = {
    name: cast(bindparam(name, type_=Text), JSONB) for name in ("reasons", "features")
}
_PLAIN_COLUMNS: Final = {
    column.key: bindparam(column.key, type_=column.type)
    for column in assessments.columns
    if column.key not in _JSON_COLUMNS
}
# A second one waits for the first's commit, then inserts nothing and misses its `expect`.
ADD_ASSESSMENT: Final = compiled(
    insert(assessments).values(_PLAIN_COLUMNS | _JSON_COLUMNS).on_conflict_do_nothing()
)
ADD_OUTCOME: Final = compiled(insert(outcomes).on_conflict_do_nothing())
KEEP_RULES: Final = compiled(insert(rule_sets).on_conflict_do_nothing())


class Books:
    """Opens books on one database, and sees that each rule set that decides is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: set[str] = set()  # versions known to be committed: one row per process start

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["UnitBook"]:
        """One unit of work. Raises what UnitOfWork raises, and AlreadyKept."""
        async with self._database.begin() as tx:
            book = UnitBook(tx, self._kept)
            yield book
        self._kept |= book.newly_kept


class UnitBook:
    """One unit of work of risk."""

    __slots__ = ("_kept", "_tx", "newly_kept")

    def __init__(self, tx: UnitOfWork, kept: set[str]) -> None:
        self._tx = tx
        self._kept = kept
        self.newly_kept: set[str] = set()

    def add_assessment(self, assessment: Assessment, asked: Asked, rules: RuleSet, by: By) -> None:
        """Keep a new assessment and its step; the first of a process brings its rule set along."""
        row = assessment_row(assessment, asked.subjects)
        self._tx.write(ADD_ASSESSMENT, expect=1, refusal=AlreadyKept, **row)
        verdict = assessment.verdict
        self._step(
            assessment.merchant,
            assessment.name,
            by,
            action="ASSESSED",
            state=verdict.decision.name,
            payload={
                "payment": assessment.payment,
                "score": verdict.score,
                "rules": [reason.rule for reason in verdict.reasons],
                "rule_set_version": assessment.rule_set_version,
                "list_version": assessment.list_version,
                "matcher_version": assessment.matcher_version,
                "feature_hash": assessment.feature_hash.hex(),
                "fingerprint": assessment.fingerprint.hex(),
                "degraded": assessment.degraded,
            },
        )
        if rules.version not in self._kept:
            self._tx.write(KEEP_RULES, expect=None, version=rules.version, document=rules.text)
            self.newly_kept.add(rules.version)

    def add_outcome(self, outcome: ReportedOutcome, subjects: Subjects, by: By) -> None:
        """Keep a new outcome and its step."""
        report, amount = outcome.report, outcome.report.amount
        self._tx.write(
            ADD_OUTCOME,
            expect=1,
            refusal=AlreadyKept,
            merchant=report.merchant,
            key=outcome.key,
            name=outcome.name,
            assessment=outcome.assessment,
            payment=report.payment,
            outcome=report.outcome.value,
            series=SERIES.get(report.outcome),
            amount_minor=amount.minor if amount else None,
            asset=amount.asset if amount else None,
            code=report.code,
            fingerprint=report.fingerprint(),
            create_time=outcome.create_time,
            **subject_columns(subjects),
        )
        self._step(
            report.merchant,
            outcome.name,
            by,
            action="OUTCOME_REPORTED",
            state=report.outcome.name,
            payload={
                "payment": report.payment,
                "assessment": outcome.assessment,
                "fingerprint": report.fingerprint().hex(),
            },
        )

    def _step(
        self,
        merchant: str,
        subject: str,
        by: By,
        *,
        action: str,
        state: str,
        payload: dict[str, object],
    ) -> None:
        """Both are written once, so every step is the first of its subject."""
        params: dict[str, Any] = step_params(
            merchant=merchant,
            subject=subject,
            version=1,
            actor=by.actor,
            action=action,
            before_state="",
            after_state=state,
            payload=payload,
            traceparent=by.traceparent,
        )
        self._tx.write(STEP, expect=1, **params)
