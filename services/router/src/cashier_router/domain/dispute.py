"""A dispute is the fold of all that its processor told about it, in the processor's own order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from cashier_common.errors import TransitionRefused
from cashier_common.money import Money
from cashier_router.domain.standing import (
    DISPUTE,
    OPENING,
    DisputeEvent,
    DisputeState,
    Stage,
    Standing,
)

# More than any scheme's stages make, each told twice; further news is in the steps alone.
NEWS_MAX: Final = 64
# A dispute in one of these no longer keeps the money away.
RETURNED: Final = frozenset({DisputeState.WON, DisputeState.CANCELED})
_AGAINST_US: Final = frozenset(
    {DisputeState.OPEN, DisputeState.CHALLENGED, DisputeState.ACCEPTED, DisputeState.LOST}
)
_STAGES: Final = tuple(Stage)
_STATES: Final = tuple(DisputeState)
_EVENTS: Final[dict[DisputeState, DisputeEvent]] = {
    DisputeState.CHALLENGED: DisputeEvent.CHALLENGE,
    DisputeState.ACCEPTED: DisputeEvent.ACCEPT,
    DisputeState.WON: DisputeEvent.WIN,
    DisputeState.LOST: DisputeEvent.LOSE,
    DisputeState.CANCELED: DisputeEvent.CANCEL,
}
# When the evidence of a dispute without a deadline is due: behind all others.
NO_DUE: Final = datetime(9999, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Effect(StrEnum):
    """What one piece of news did, in its place among the others."""

    MOVED = "moved"  # stage, state, amount or money
    REPEATED = "repeated"  # it says what was known
    PASSED = "passed"  # about a stage or a state that the dispute had left
    REFUSED = "refused"  # not possible after what was known: evidence, and an incident


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing that a processor told; amounts in minor units, 0 where it did not say.

    `stage` is None where only the state was told. Two that differ in `detail` or in when we heard
    them alone are the same news.
    """

    at: datetime
    stage: Stage | None
    state: DisputeState
    minor: int
    asset: str
    withdrawn: bool
    moves: int = 0
    reason_code: str = ""
    arn: str = ""
    due: datetime | None = None
    liability_shifted: bool = False
    fee_minor: int | None = None
    detail: str = field(default="", compare=False)
    heard_at: datetime = field(default=_NEVER, compare=False)

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it stands among the others; of one moment, what is further on comes later."""
        stage = _STAGES.index(self.stage) if self.stage else len(_STAGES)
        return (
            self.at, self.moves, stage, _STATES.index(self.state), self.withdrawn, self.minor,
            self.asset, self.reason_code, self.arn, self.due or _NEVER, self.liability_shifted,
            -1 if self.fee_minor is None else self.fee_minor,
        )  # fmt: skip

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Told":
        """The news that JSON facts of its fields tell, times in RFC 3339."""
        stage = facts["stage"]
        times = {name: _time(facts[name]) for name in ("at", "due", "heard_at")}
        return cls(
            **{
                **facts, **times, "stage": Stage(stage) if stage else None,
                "state": DisputeState(facts["state"]),
            }
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DisputeNews:
    """One thing that a processor told, and of which dispute; `target` took the money."""

    processor_reference: str
    account: str
    target: int
    told: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A customer's bank takes captured money back, or asks about it; amounts in minor units.

    Everything but where it comes from follows from `told`. The three sums only ever say what all
    news together say was withdrawn, given back and lost: `withdrawn_sum` - `returned_sum` is away.
    """

    processor_reference: str
    account: str
    target: int  # number of the operation that took the money
    told: tuple[Told, ...]
    standing: Standing
    minor: int
    asset: str
    gone: bool  # as the processor told it last
    withdrawn_sum: int
    returned_sum: int
    reason_code: str
    arn: str
    due: datetime | None
    liability_shifted: bool
    fee_minor: int | None
    create_time: datetime
    update_time: datetime

    @property
    def stage(self) -> Stage:
        """How far it has gone."""
        return self.standing.stage or Stage.INQUIRY

    @property
    def state(self) -> DisputeState:
        """Where it stands."""
        return self.standing.state

    @property
    def away(self) -> int:
        """What it keeps away now, however much is there for it."""
        return self.minor if self.gone and self.state not in RETURNED else 0

    @property
    def lost(self) -> int:
        """What is away for good."""
        return self.away if self.state is DisputeState.LOST else 0

    @property
    def wants_evidence(self) -> bool:
        """Whether somebody should answer it."""
        return self.state is DisputeState.OPEN

    def is_overdue(self, now: datetime) -> bool:
        """Whether the last moment for evidence passed without an answer that we know of."""
        return self.wants_evidence and self.due is not None and self.due < now

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Dispute":
        """The dispute that JSON facts of its fields tell."""
        times = {name: _time(facts[name]) for name in ("due", "create_time", "update_time")}
        told = tuple(Told.from_facts(one) for one in facts["told"])
        return cls(**{**facts, **times, "standing": Standing(facts["standing"]), "told": told})


def due_key(dispute: Dispute) -> datetime:
    """Where it stands among disputes by the last moment for evidence."""
    return dispute.due or NO_DUE


def heard_of(earlier: Dispute | None, news: DisputeNews, whole: Money) -> tuple[Dispute, Effect]:
    """The dispute with one more piece of news, and what that did in its place.

    It depends on the set of all news alone, in whatever order they came; `whole` is what it is
    about as long as no news says how much. REPEATED and the same dispute when this very news was
    known.
    """
    known = earlier.told if earlier else ()
    if earlier is not None and news.told in known:
        return earlier, Effect.REPEATED
    target = earlier.target if earlier else news.target
    dispute, effects = _folded(replace(news, target=target), (*known, news.told), whole)
    return dispute, effects[dispute.told.index(news.told)]


def effects_of(dispute: Dispute) -> list[Effect]:
    """What each of its news did, in the processor's order."""
    first = DisputeNews(
        dispute.processor_reference, dispute.account, dispute.target, dispute.told[0]
    )
    return _folded(first, dispute.told, Money(dispute.minor, dispute.asset))[1]


def _folded(news: DisputeNews, told: Iterable[Told], whole: Money) -> tuple[Dispute, list[Effect]]:
    ordered = sorted(told, key=lambda one: one.place)
    first = ordered[0]
    dispute = Dispute(
        processor_reference=news.processor_reference, account=news.account, target=news.target,
        told=tuple(ordered), standing=DISPUTE.initial, minor=whole.minor, asset=whole.asset,
        gone=False, withdrawn_sum=0, returned_sum=0, reason_code="", arn="", due=None,
        liability_shifted=False, fee_minor=None, create_time=first.at,
        update_time=ordered[-1].at,
    )  # fmt: skip
    effects = []
    for one in ordered:
        dispute, effect = _step(dispute, one)
        effects.append(effect)
    return dispute, effects


def _step(dispute: Dispute, one: Told) -> tuple[Dispute, Effect]:
    """The one guarded change of a dispute."""
    path = _path(dispute.standing, one)
    if path is None:
        return dispute, Effect.PASSED
    standing = dispute.standing
    try:
        for event in path:
            standing = DISPUTE.next(standing, event)
    except TransitionRefused:
        return dispute, Effect.REFUSED
    opens = standing.stage is not dispute.standing.stage
    # Money is a fact, whichever state it is told with; only a word about evidence says none.
    money = one.stage is not None
    after = replace(
        dispute, standing=standing,
        gone=one.withdrawn if money else dispute.gone,
        minor=one.minor if money and one.minor else dispute.minor,
        asset=one.asset if money and one.minor else dispute.asset,
        reason_code=one.reason_code or dispute.reason_code, arn=one.arn or dispute.arn,
        due=one.due if opens else one.due or dispute.due,  # each stage has a deadline of its own
        liability_shifted=one.liability_shifted if money else dispute.liability_shifted,
        fee_minor=dispute.fee_minor if one.fee_minor is None else one.fee_minor,
    )  # fmt: skip
    change = after.away - dispute.away
    after = replace(
        after, withdrawn_sum=after.withdrawn_sum + max(change, 0),
        returned_sum=after.returned_sum + max(-change, 0),
    )  # fmt: skip
    return after, Effect.REPEATED if after == dispute else Effect.MOVED


def _path(now: Standing, one: Told) -> list[DisputeEvent] | None:
    """The events that lead to what is told; None for what the dispute has left behind."""
    then = [_EVENTS[one.state]] if one.state in _EVENTS else []
    here = _STAGES.index(now.stage) if now.stage else -1
    if one.stage is None and now.stage is None:
        return [
            DisputeEvent.INQUIRE,
            *then,
        ]  # the least that it can be; what is told else says more
    if one.stage is not None:
        there = _STAGES.index(one.stage)
        if there > here:
            return [OPENING[one.stage], *then]
        if there < here and one.stage is not Stage.CHARGEBACK:
            return None
    if one.state is now.state:
        return []
    if one.state in _AGAINST_US and now.state is DisputeState.WON and one.withdrawn:
        return [DisputeEvent.CHARGE_BACK, *then]
    if one.state in _AGAINST_US and now.state is DisputeState.CANCELED:
        return [DisputeEvent.REOPEN, *then]
    if then and DISPUTE.accepts(now, then[0]):
        return then
    behind = _STATES.index(one.state) < _STATES.index(now.state)
    return [] if behind else then


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
