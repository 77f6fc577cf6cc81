"""Writes answers: an assessment and audit findings as the contract has them."""

from typing import Final

from cashier.risk.v1 import assessment_pb2
from cashier_risk.domain.assessment import Assessment
from cashier_risk.domain.rules import Decision

_DECISIONS: Final = {
    Decision.FRICTIONLESS: assessment_pb2.Assessment.DECISION_FRICTIONLESS,
    Decision.STEP_UP: assessment_pb2.Assessment.DECISION_STEP_UP,
    Decision.REVIEW: assessment_pb2.Assessment.DECISION_REVIEW,
    Decision.DECLINE: assessment_pb2.Assessment.DECISION_DECLINE,
}


def assessment_message(assessment: Assessment) -> assessment_pb2.Assessment:
    """The assessment as it is told; the features stay here."""
    verdict = assessment.verdict
    message = assessment_pb2.Assessment(
        name=assessment.name,
        merchant=assessment.merchant,
        payment=assessment.payment,
        decision=_DECISIONS[verdict.decision],
        score=verdict.score,
        reasons=[
            assessment_pb2.RiskReason(
                code=reason.code,
                detail=reason.detail,
                score=reason.score,
                hard_stop=reason.hard_stop,
                rule=reason.rule,
            )
            for reason in verdict.reasons
        ],
        routing_advice=assessment_pb2.RoutingAdvice(
            strict_accounts_only=verdict.strict_accounts_only,
            manual_capture_only=verdict.manual_capture_only,
        ),
        rule_set_version=assessment.rule_set_version,
        list_version=assessment.list_version,
        matcher_version=assessment.matcher_version,
        feature_hash=assessment.feature_hash,
        degraded=assessment.degraded,
    )
    message.create_time.FromDatetime(assessment.create_time)
    message.expire_time.FromDatetime(assessment.expire_time)
    return message
