"""PaymentIntents and charges as Stripe shows them."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any

from cashier_sandbox.domain.charge import Charge, Status
from cashier_sandbox.domain.declines import DECLINES
from cashier_sandbox.domain.intent import Intent, IntentState, intent_state
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.processors.stripe.amounts import to_stripe
from cashier_sandbox.processors.stripe.errors import AUTHENTICATION_FAILED, decline_error
from cashier_sandbox.processors.stripe.methods import brand_of

_LAST4 = {"visa": "4242", "mastercard": "4444", "amex": "8431", "discover": "9424", "jcb": "0505"}
_EXPIRY_YEAR = 2034
_CHARGED: dict[Status, str] = {
    Status.PENDING: "pending",
    Status.REQUIRES_ACTION: "pending",
    Status.AUTHORIZED: "succeeded",
    Status.SUCCEEDED: "succeeded",
    Status.DECLINED: "failed",
    Status.VOIDED: "succeeded",
}


def unix(at: str) -> int:
    """Return a ledger's time as whole Unix seconds."""
    return int(datetime.fromisoformat(at).timestamp())


def is_shown(charge: Charge) -> bool:
    """Whether Stripe has a charge for it: none is made before the payer has authenticated."""
    if charge.status is Status.VOIDED:
        return charge.amount_voided > 0
    return charge.status is not Status.REQUIRES_ACTION and charge.decline != AUTHENTICATION_FAILED


def intent_json(desk: Desk, intent: Intent, charge: Charge | None) -> dict[str, Any]:
    """Return a PaymentIntent, `charge` being its last try."""
    state, currency = intent_state(intent, charge), intent.currency
    secret = blake2b(intent.id.encode(), digest_size=12).hexdigest()
    options = {"request_three_d_secure": "automatic"}
    if intent.multicapture:
        options["request_multicapture"] = "if_available"
    return {
        **dict.fromkeys(_INTENT_NULLS),
        "id": intent.id,
        "object": "payment_intent",
        "amount": to_stripe(intent.amount, currency),
        "amount_capturable": to_stripe(charge.capturable if charge else 0, currency),
        "amount_details": {"tip": {}},
        "amount_received": to_stripe(charge.amount_captured if charge else 0, currency),
        "canceled_at": unix(intent.canceled_at) if state is IntentState.CANCELED else None,
        "cancellation_reason": intent.cancel_reason or None,
        "capture_method": "automatic" if intent.capture else "manual",
        "client_secret": f"{intent.id}_secret_{secret}",
        "confirmation_method": "automatic",
        "created": unix(intent.created_at),
        "currency": currency.lower(),
        "customer": intent.customer or None,
        "description": intent.description or None,
        "last_payment_error": _last_error(charge, intent.method),
        "latest_charge": charge.id if charge and is_shown(charge) else None,
        "livemode": False,
        "metadata": dict(intent.metadata),
        "next_action": _next_action(desk, intent, charge),
        "payment_method": _method(intent, state),
        "payment_method_options": {"card": options},
        "payment_method_types": ["card"],
        "processing": {"type": "card", "card": {}} if state is IntentState.PROCESSING else None,
        "status": state,
    }


def charge_json(desk: Desk, charge: Charge, intent: Intent | None) -> dict[str, Any]:
    """Return a Charge."""
    currency = charge.currency
    moved = desk.book.moved_by.get(charge.id, ())
    # Stripe counts what a partial capture or a cancellation released as refunded.
    given_back = charge.amount_refunded + charge.amount_refund_pending + charge.amount_voided
    failed = charge.status is Status.DECLINED
    code = decline_error(charge, "") if failed else {}
    return {
        **dict.fromkeys(_CHARGE_NULLS),
        "id": charge.id,
        "object": "charge",
        "amount": to_stripe(charge.amount, currency),
        "amount_captured": to_stripe(charge.amount_captured, currency),
        "amount_refunded": to_stripe(given_back, currency),
        "balance_transaction": moved[0].id if moved and charge.amount_captured else None,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "calculated_statement_descriptor": "SANDBOX",
        "captured": charge.status is Status.SUCCEEDED,
        "created": unix(charge.created_at),
        "currency": currency.lower(),
        "customer": (intent.customer or None) if intent else None,
        "description": (intent.description or None) if intent else None,
        "disputed": charge.amount_charged_back > 0,
        "failure_code": code.get("code"),
        "failure_message": code.get("message"),
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(charge.metadata),
        "outcome": _outcome(charge),
        "paid": charge.status in {Status.AUTHORIZED, Status.SUCCEEDED, Status.VOIDED},
        "payment_intent": charge.intent or None,
        "payment_method": intent.method if intent and intent.method else None,
        "payment_method_details": _card(charge),
        "refunded": given_back == charge.amount,
        "status": _CHARGED[charge.status],
    }


def _method(intent: Intent, state: IntentState) -> str | None:
    return None if state is IntentState.REQUIRES_PAYMENT_METHOD else intent.method or None


def _last_error(charge: Charge | None, method: str) -> dict[str, Any] | None:
    if charge is None or charge.status is not Status.DECLINED:
        return None
    return decline_error(charge, method)


def _next_action(desk: Desk, intent: Intent, charge: Charge | None) -> dict[str, Any] | None:
    if charge is None or charge.status is not Status.REQUIRES_ACTION:
        return None
    return {
        "type": "redirect_to_url",
        "redirect_to_url": {
            "url": f"{desk.base_url}/challenges/{charge.id}",
            "return_url": intent.return_url or None,
        },
    }


def _outcome(charge: Charge) -> dict[str, Any] | None:
    if charge.status is Status.PENDING:
        return None
    row = DECLINES[charge.decline] if charge.decline else None
    return {
        "network_status": "declined_by_network" if row else "approved_by_network",
        "reason": row.code if row else None,
        "risk_level": "normal",
        "risk_score": 1,
        "seller_message": row.message if row else "Payment complete.",
        "type": "issuer_declined" if row else "authorized",
    }


def _card(charge: Charge) -> dict[str, Any]:
    brand = brand_of(charge.token)
    return {
        "type": "card",
        "card": {
            "brand": brand,
            "checks": None,
            "country": "US",
            "exp_month": 12,
            "exp_year": _EXPIRY_YEAR,
            "fingerprint": blake2b(charge.token.encode(), digest_size=8).hexdigest(),
            "funding": "credit",
            "installments": None,
            "last4": _LAST4.get(brand, "4242"),
            "mandate": None,
            "network": brand,
            "three_d_secure": None,
            "wallet": None,
        },
    }


_INTENT_NULLS = (
    *("application", "application_fee_amount", "automatic_payment_methods", "invoice"),
    *("on_behalf_of", "receipt_email", "review", "setup_future_usage", "shipping"),
    *("statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group"),
)
_CHARGE_NULLS = (
    *("application", "application_fee", "application_fee_amount", "failure_balance_transaction"),
    *("on_behalf_of", "receipt_email", "receipt_number", "receipt_url", "review", "shipping"),
    *("source_transfer", "statement_descriptor", "statement_descriptor_suffix", "transfer_data"),
    *("transfer_group",),
)
