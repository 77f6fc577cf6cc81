"""An assessment: one decision about one payment, with all that is needed to make it again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cashier_common.ids import derived_name
from cashier_risk.domain.decision import (
    LIST_VERSION,
    MATCHER_VERSION,
    Verdict,
    decide,
)
from cashier_risk.domain.facts import Facts, feature_hash
from cashier_risk.domain.rules import RuleSet


@dataclass(frozen=True, slots=True)
class Assessment:
    """Written once, never changed; `features` is the canonical JSON of the facts."""

    name: str
    merchant: str
    payment: str
    fingerprint: bytes
    verdict: Verdict
    rule_set_version: str
    list_version: str
    matcher_version: str
    features: bytes
    feature_hash: bytes
    degraded: bool
    create_time: datetime
    expire_time: datetime


def assessment_name(merchant: str, payment: str) -> str:
    """`assessments/asm_…`: one payment has one assessment, whoever asks and however often."""
    return derived_name("assessments", "asm", merchant, payment)


def assess_facts(facts: Facts, rules: RuleSet, *, at: datetime) -> Assessment:
    """Judge the facts; `at` is when it is made, and it is good for the rule set's minutes."""
    asked, features = facts.asked, facts.snapshot()
    return Assessment(
        name=assessment_name(asked.merchant, asked.payment),
        merchant=asked.merchant,
        payment=asked.payment,
        fingerprint=asked.fingerprint(),
        verdict=decide(facts, rules),
        rule_set_version=rules.version,
        list_version=LIST_VERSION,
        matcher_version=MATCHER_VERSION,
        features=features,
        feature_hash=feature_hash(features),
        degraded=facts.degraded,
        create_time=at,
        expire_time=at + timedelta(minutes=rules.valid_minutes),
    )


def differences(stored: Assessment, again: Assessment) -> Iterator[str]:
    """What differs between a stored decision and the same one made again, a sentence each."""
    if stored.feature_hash != again.feature_hash:
        yield "the stored features do not give the stored feature_hash: they were changed"
    for field in ("rule_set_version", "list_version", "matcher_version"):
        was, now = getattr(stored, field), getattr(again, field)
        if was != now:
            yield f"{field} was {was} and is {now}"
    for field in ("decision", "score", "strict_accounts_only", "manual_capture_only"):
        was, now = getattr(stored.verdict, field), getattr(again.verdict, field)
        if was != now:
            yield f"{field} was {getattr(was, 'name', was)} and is {getattr(now, 'name', now)}"
    if stored.verdict.reasons != again.verdict.reasons:
        was, now = (
            ", ".join(reason.rule for reason in each.verdict.reasons) or "no rule"
            for each in (stored, again)
        )
        yield f"the reasons were given by {was} and are given by {now}"
