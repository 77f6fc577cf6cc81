"""Messages that move nothing: late, conflicting and foreign results are kept, told and counted."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from cashier_router.domain.authentication.attempt import (
    EVIDENCE_MAX,
    Attempt,
    Evidence,
    EvidenceKind,
    transaction_id,
)
from cashier_router.domain.authentication.events import Advanced, Effect, StepFact
from cashier_router.domain.authentication.result import Result, Status

# Somebody on the issuer's side contradicts himself, or speaks of what we never asked.
NEEDS_CASE: Final = frozenset(
    {
        EvidenceKind.CONFLICTING_RESULT,
        EvidenceKind.FOREIGN_RESULT,
        EvidenceKind.UNEXPECTED_RESULT,
    }
)
# Of a try that was given up: that it could not be performed is why, and a promise is of no use.
_NO_WORD: Final = frozenset({Status.UNAVAILABLE, Status.CHALLENGE, Status.DECOUPLED})


def keep(attempt: Attempt, result: Result, now: datetime) -> Advanced:
    """Kept in the record and told to people; it never moves the attempt."""
    kind = _kind(attempt, result)
    repeated = any(kept.kind is kind and kept.result.repeats(result) for kept in attempt.evidence)
    if kind is None or repeated:
        return Advanced(attempt)
    if len(attempt.evidence) >= EVIDENCE_MAX:
        return Advanced(attempt, effects=(Effect.ALERT,))
    after = replace(
        attempt, evidence=(*attempt.evidence, Evidence(kind, result, now)),
        evidence_hash=attempt.hash_with(kind.value, result.digest),
        version=attempt.version + 1, update_time=now,
    )  # fmt: skip
    detail = f"{result.source.value} says {result.status} while {attempt.state.value}"
    step = StepFact(kind.name, attempt.state, after.state, detail, after.record())
    effects = (Effect.ALERT, Effect.OPEN_CASE) if kind in NEEDS_CASE else (Effect.ALERT,)
    return Advanced(after, effects, (step,))


def _kind(attempt: Attempt, result: Result) -> EvidenceKind | None:
    """Why it is not applied; None for a duplicate of what was."""
    if result.transaction in earlier_transactions(attempt):
        return None if result.status in _NO_WORD else EvidenceKind.SUPERSEDED_RESULT
    if result.transaction != attempt.transaction:
        return EvidenceKind.FOREIGN_RESULT
    if attempt.is_live:
        return EvidenceKind.UNEXPECTED_RESULT
    earlier = [attempt.result] if attempt.result else []
    late = EvidenceKind.LATE_RESULT
    earlier += [kept.result for kept in attempt.evidence if kept.kind is late]
    if any(result.repeats(known) for known in earlier):
        return None
    return EvidenceKind.CONFLICTING_RESULT if earlier else late


def earlier_transactions(attempt: Attempt) -> frozenset[str]:
    """The transactions of tries that were given up for a new one."""
    return frozenset(transaction_id(attempt.name, tried) for tried in range(1, attempt.tries))


def of_one_challenge(attempt: Attempt, result: Result) -> bool:
    """Whether the issuer and its network name the same transactions as in their first answer."""
    pairs = (
        (attempt.server_transaction, result.server_transaction),
        (attempt.acs_transaction, result.acs_transaction),
        (attempt.ds_transaction, result.ds_transaction),
    )
    return all(one == other or not one or not other for one, other in pairs)
