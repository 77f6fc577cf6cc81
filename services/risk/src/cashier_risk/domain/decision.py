"""The decision: hard stops in their order, then AML review, then score bands; never one sum."""

from dataclasses import dataclass
from typing import Final

from cashier_risk.domain.facts import Facts
from cashier_risk.domain.rules import Advice, Decision, Rule, RuleSet, Stage

SCORE_MAX: Final = 1_000
LIST_VERSION: Final = "none"
"""No sanctions list is screened yet: the answer says so instead of being silent."""
MATCHER_VERSION: Final = "none"


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that spoke; `score` is what it added, 0 for a hard stop."""

    code: str
    detail: str
    score: int
    hard_stop: bool
    rule: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What risk says: `score` is 0 to 1,000, reasons stand most weighty first."""

    decision: Decision
    score: int
    reasons: tuple[Reason, ...]
    strict_accounts_only: bool
    manual_capture_only: bool


def decide(facts: Facts, rules: RuleSet) -> Verdict:
    """Judge the facts; a pure function, so a stored snapshot and rule set give it again.

    The first stage that speaks decides: no score and no rule of a later stage softens it. Every
    rule is asked all the same, because a person wants to see all reasons.
    """
    spoken = [
        (rule, detail)
        for rule in rules.rules
        if (detail := rule.condition.holds(facts)) is not None
    ]
    spoken.sort(key=lambda each: (each[0].stage, -each[0].score))  # stable: then document order
    stopped = any(rule.stage.is_hard_stop for rule, _ in spoken)
    score = SCORE_MAX if stopped else min(SCORE_MAX, sum(rule.score for rule, _ in spoken))
    decision = _decision([rule for rule, _ in spoken], rules, score=score, stopped=stopped)
    return Verdict(
        decision=decision,
        score=score,
        reasons=tuple(_reason(rule, detail) for rule, detail in spoken),
        strict_accounts_only=any(Advice.STRICT_ACCOUNTS_ONLY in rule.advise for rule, _ in spoken),
        manual_capture_only=decision is Decision.REVIEW,
    )


def _decision(spoken: list[Rule], rules: RuleSet, *, score: int, stopped: bool) -> Decision:
    if stopped:
        return Decision.DECLINE
    if any(rule.stage is Stage.AML for rule in spoken):
        return Decision.REVIEW
    return max([rules.bands.decision(score), *(rule.at_least for rule in spoken)])


def _reason(rule: Rule, detail: str) -> Reason:
    return Reason(rule.code, detail, rule.score, rule.stage.is_hard_stop, rule.id)
