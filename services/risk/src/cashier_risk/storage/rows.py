"""Rows and values of an assessment, both ways."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson

from cashier_risk.domain.assessment import Assessment
from cashier_risk.domain.decision import Reason, Verdict
from cashier_risk.domain.facts import canonical
from cashier_risk.domain.rules import Decision
from cashier_risk.domain.velocity import Subject, Subjects


def assessment_row(assessment: Assessment, subjects: Subjects) -> dict[str, object]:
    """The columns of a new assessment."""
    verdict = assessment.verdict
    return {
        "name": assessment.name,
        "merchant": assessment.merchant,
        "payment": assessment.payment,
        "fingerprint": assessment.fingerprint,
        "decision": verdict.decision.name,
        "score": verdict.score,
        "reasons": _reasons_text(verdict.reasons),
        "strict_accounts_only": verdict.strict_accounts_only,
        "manual_capture_only": verdict.manual_capture_only,
        "rule_set_version": assessment.rule_set_version,
        "list_version": assessment.list_version,
        "matcher_version": assessment.matcher_version,
        "features": assessment.features.decode(),
        "feature_hash": assessment.feature_hash,
        "degraded": assessment.degraded,
        "create_time": assessment.create_time,
        "expire_time": assessment.expire_time,
        **subject_columns(subjects),
    }


def subject_columns(subjects: Subjects) -> dict[str, str | None]:
    """What velocity counts by; None for what is not known."""
    return {subject.value: subjects.keys.get(subject) for subject in Subject}


def assessment_of(row: asyncpg.Record) -> Assessment:
    """The assessment of a row; its features are made canonical again, as the hash wants them."""
    return Assessment(
        name=row["name"],
        merchant=row["merchant"],
        payment=row["payment"],
        fingerprint=row["fingerprint"],
        verdict=Verdict(
            decision=Decision[row["decision"]],
            score=row["score"],
            reasons=tuple(_reason(given) for given in orjson.loads(row["reasons"])),
            strict_accounts_only=row["strict_accounts_only"],
            manual_capture_only=row["manual_capture_only"],
        ),
        rule_set_version=row["rule_set_version"],
        list_version=row["list_version"],
        matcher_version=row["matcher_version"],
        features=canonical(orjson.loads(row["features"])),
        feature_hash=row["feature_hash"],
        degraded=row["degraded"],
        create_time=row["create_time"],
        expire_time=row["expire_time"],
    )


def _reasons_text(reasons: tuple[Reason, ...]) -> str:
    return canonical(
        [
            {
                "code": reason.code,
                "detail": reason.detail,
                "score": reason.score,
                "hard_stop": reason.hard_stop,
                "rule": reason.rule,
            }
            for reason in reasons
        ]
    ).decode()


def _reason(given: Mapping[str, Any]) -> Reason:
    return Reason(
        code=given["code"],
        detail=given["detail"],
        score=given["score"],
        hard_stop=given["hard_stop"],
        rule=given["rule"],
    )
