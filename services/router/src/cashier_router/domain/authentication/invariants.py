"""What must hold of the authentications of any payment, whatever happened: the reference's (a)-(h).

Each answers sentences about what is broken, so that a property test, the simulation and the checker
of a whole run ask the same. The state machine is written so that none of them can come about.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from cashier_router.domain.authentication.advance import advance, owed
from cashier_router.domain.authentication.attempt import Attempt, Bound, EvidenceKind
from cashier_router.domain.authentication.consequence import Verdict, consequence
from cashier_router.domain.authentication.events import Answered, Event, Told
from cashier_router.domain.authentication.liability import Party, liability
from cashier_router.domain.authentication.lifecycle import AuthenticationState
from cashier_router.domain.authentication.result import contradicts_itself
from cashier_router.domain.authentication.stored import from_text, to_text

S = AuthenticationState
# What stays as it is once an attempt has ended; evidence, use and the exemption's answer are added.
_FROZEN: Final = (
    "name", "number", "flow", "network", "bound", "choice", "state", "tries", "protocol",
    "completion", "server_transaction", "acs_transaction", "ds_transaction", "challenged",
    "result", "liability", "excepted", "create_time",
)  # fmt: skip
_NEEDS_RESULT: Final = frozenset(
    {S.AUTHENTICATED, S.ATTEMPTED, S.INFORMATIONAL, S.FAILED, S.REJECTED}
)


def one_live(attempts: Sequence[Attempt]) -> list[str]:
    """(a) At most one attempt of a payment is live."""
    live = [attempt.name for attempt in attempts if attempt.is_live]
    return [f"{', '.join(live)} are live at once"] if len(live) > 1 else []


def consumed_once(attempt: Attempt, carried_by: Sequence[str]) -> list[str]:
    """(b) One operation at the most carried the proof to a processor, and it is the stored one.

    `carried_by` are the operations whose request with this proof may have reached a processor.
    """
    carriers = sorted(set(carried_by))
    if not attempt.asked_issuer:
        return []
    broken = []
    if len(carriers) > 1:
        broken.append(f"{attempt.name} was carried by {', '.join(carriers)}")
    if carriers and attempt.consumed_by not in carriers:
        broken.append(f"{attempt.name} was carried by {carriers[0]} and is not marked so")
    return broken


def same_terms(attempt: Attempt, sent: Mapping[str, Bound]) -> list[str]:
    """(c) What an operation was sent for is what was authenticated; `sent` is by operation."""
    bound = sent.get(attempt.consumed_by, attempt.bound)
    return [] if bound == attempt.bound else [f"{attempt.consumed_by} is for other terms"]


def ended_stays(before: Attempt, after: Attempt) -> list[str]:
    """(d) An attempt that has ended stays as it ended."""
    if before.is_live:
        return []
    changed = [name for name in _FROZEN if getattr(before, name) != getattr(after, name)]
    lost = before.evidence != after.evidence[: len(before.evidence)]
    return [f"{before.name} ended, and its {name} changed" for name in changed] + (
        [f"{before.name} lost evidence"] if lost else []
    )


def late_never_authorizes(attempt: Attempt) -> list[str]:
    """(d) An attempt with a late result has no proof in it."""
    late = any(kept.kind is EvidenceKind.LATE_RESULT for kept in attempt.evidence)
    if not late or attempt.state not in (S.AUTHENTICATED, S.ATTEMPTED, S.INFORMATIONAL):
        return []
    return [f"{attempt.name} is {attempt.state} beside a late result"]


def not_from_browser(attempt: Attempt) -> list[str]:
    """(e) What the issuer is said to have said came from a server, about this very transaction."""
    result, broken = attempt.result, []
    if result is None:
        return [f"{attempt.name} is {attempt.state}: nobody said so"] * (
            attempt.state in _NEEDS_RESULT
        )
    if result.transaction != attempt.transaction:
        broken.append(f"{attempt.name} ended by a result of another transaction")
    if contradicts_itself(result):
        broken.append(f"{attempt.name} ended by a result that contradicts itself")
    return broken


def repeated_is_nothing(attempt: Attempt, event: Event, now: datetime) -> list[str]:
    """(f) What a server tells twice changes nothing the second time.

    A result that conflicts with the one applied has a case, and its attempt is contested.
    """
    if not isinstance(event, Told | Answered):
        return []
    once = advance(attempt, event, now).attempt
    twice = advance(once, event, now)
    broken = []
    if twice.attempt != once or twice.steps:
        broken.append(f"{attempt.name} heard {event.result.status} twice and changed twice")
    applied, told = once.result, event.result
    differs = applied is not None and not applied.repeats(told)
    promised = isinstance(event, Answered)
    of_this_try = told.transaction == once.transaction
    if not once.is_live and differs and of_this_try and not promised and not once.contested:
        broken.append(f"{attempt.name} heard {told.status} after another result: no case")
    return broken


def liability_agrees(attempt: Attempt) -> list[str]:
    """(g) Liability is the issuer's only where status, ECI and cryptogram are in the table."""
    if attempt.liability is None:
        return [] if attempt.is_live else [f"{attempt.name} ended without liability"]
    exempted = attempt.state is S.EXEMPT or bool(
        attempt.result and attempt.result.exemption_granted
    )
    right = liability(attempt.network, attempt.result, exempted=exempted, excepted=attempt.excepted)
    if attempt.liability != right:
        return [f"{attempt.name} says {attempt.liability.party}, the table {right.party}"]
    proven = attempt.result is not None and attempt.result.cryptogram is not None
    if right.party is Party.ISSUER and not proven:
        return [f"{attempt.name} is the issuer's without a cryptogram"]
    return []


def resumes(attempt: Attempt, event: Event, now: datetime) -> list[str]:
    """(h) What is stored is enough to go on: the same value, the same duty, the same next step."""
    again = from_text(to_text(attempt))
    broken = []
    if again != attempt or owed(again) != owed(attempt):
        broken.append(f"{attempt.name} is another one after a crash")
    if advance(again, event, now) != advance(attempt, event, now):
        broken.append(f"{attempt.name} goes on differently after a crash")
    timed = attempt.is_live and attempt.state is not S.CREATED
    if timed and attempt.deadline is None:
        broken.append(f"{attempt.name} is {attempt.state} without a deadline")
    if not attempt.is_live and attempt.wake_at is not None:
        broken.append(f"{attempt.name} has ended and wakes a worker")
    return broken


def authorizes_with_authority(attempt: Attempt) -> list[str]:
    """Only an end that the reference lets authorize does, and what fails or is left never does."""
    ended = consequence(attempt, further_allowed=True, payment_over=False)
    barred = attempt.is_live or attempt.state in (S.FAILED, S.REJECTED, S.ABANDONED, S.EXPIRED)
    if ended.verdict is Verdict.AUTHORIZE and (barred or attempt.contested):
        return [f"{attempt.name} is {attempt.state} and authorizes"]
    if ended.liable is Party.ISSUER and not (
        attempt.liability and attempt.liability.party is Party.ISSUER
    ):
        return [f"{attempt.name} makes the issuer liable, and its liability does not"]
    return []


def broken(before: Attempt, event: Event, now: datetime) -> list[str]:
    """Everything that one change of one attempt breaks, of what can be told from it alone."""
    after = advance(before, event, now).attempt
    return [
        *ended_stays(before, after),
        *late_never_authorizes(after),
        *not_from_browser(after),
        *repeated_is_nothing(before, event, now),
        *liability_agrees(after),
        *resumes(before, event, now),
        *authorizes_with_authority(after),
    ]
