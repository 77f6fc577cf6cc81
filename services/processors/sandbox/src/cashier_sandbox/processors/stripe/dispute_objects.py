"""Disputes and webhook endpoints as Stripe shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cashier_sandbox.domain.dispute import OPEN, Chargeback, DisputeStage, DisputeStatus
from cashier_sandbox.domain.notice import Endpoint
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.stripe.amounts import to_stripe
from cashier_sandbox.processors.stripe.errors import API_VERSION
from cashier_sandbox.processors.stripe.intent_objects import unix
from cashier_sandbox.processors.stripe.money_objects import BalanceLine, transaction_json

# How long a merchant has for an answer; Stripe's due dates are 7 to 21 days.
ANSWER_WITHIN_S = int(timedelta(days=9).total_seconds())
EVIDENCE_FIELDS = (
    *("access_activity_log", "billing_address", "cancellation_policy"),
    *("cancellation_policy_disclosure", "cancellation_rebuttal", "customer_communication"),
    *("customer_email_address", "customer_name", "customer_purchase_ip", "customer_signature"),
    *("duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id"),
    *("product_description", "receipt", "refund_policy", "refund_policy_disclosure"),
    *("refund_refusal_explanation", "service_date", "service_documentation", "shipping_address"),
    *("shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number"),
    *("uncategorized_file", "uncategorized_text"),
)


_INQUIRIES = {
    DisputeStatus.NEEDS_RESPONSE: "warning_needs_response",
    DisputeStatus.UNDER_REVIEW: "warning_under_review",
}


def dispute_json(desk: Desk, dispute: Chargeback) -> dict[str, Any]:
    """Return a Dispute with the money that it took and gave back."""
    shown = desk.book.moved_by.get(dispute.id, [])[: dispute.moves]
    inquiry = dispute.stage is DisputeStage.INQUIRY
    evidence: dict[str, str | None] = dict.fromkeys(EVIDENCE_FIELDS)
    charge = desk.book.charges[dispute.charge]
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": to_stripe(dispute.amount, dispute.currency),
        "balance_transactions": [transaction_json(BalanceLine(one, "")) for one in shown],
        "charge": dispute.charge,
        "created": unix(dispute.created_at),
        "currency": dispute.currency.lower(),
        "enhanced_eligibility_types": [],
        "evidence": evidence | dict(dispute.evidence),
        "evidence_details": {
            "due_by": unix(dispute.staged_at) + ANSWER_WITHIN_S,
            "has_evidence": bool(dispute.evidence),
            "past_due": False,
            "submission_count": dispute.submissions,
        },
        "is_charge_refundable": dispute.status not in OPEN and charge.refundable > 0,
        "livemode": False,
        "metadata": dict(dispute.metadata),
        "payment_intent": charge.intent or None,
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "inquiry" if inquiry else "chargeback",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": dispute.reason,
        "status": _INQUIRIES.get(dispute.status, "warning_closed") if inquiry else dispute.status,
    }


def endpoint_json(endpoint: Endpoint, *, secret: bool) -> dict[str, Any]:
    """Return a webhook endpoint; its secret is told once, when it is made."""
    body: dict[str, Any] = {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "application": None,
        "created": unix(endpoint.created_at),
        "description": None,
        "enabled_events": list(endpoint.types),
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": endpoint.url,
    }
    return body | {"secret": endpoint.secret} if secret else body
