"""A wish to be paid that outlives its tries; each confirmed try is a charge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cashier_sandbox.domain.charge import Charge, Status


class IntentState(StrEnum):
    """Where an intent stands, in the words of the API that has intents."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What shall be paid; `amount` in minor units, `method` empty until one was named."""

    id: str
    amount: int
    currency: str
    reference: str
    metadata: Mapping[str, str]
    created_at: str
    capture: bool
    method: str = ""
    customer: str = ""
    description: str = ""
    return_url: str = ""
    multicapture: bool = False
    charge: str = ""
    canceled_at: str = ""
    cancel_reason: str = ""


_STATES: dict[Status, IntentState] = {
    Status.PENDING: IntentState.PROCESSING,
    Status.REQUIRES_ACTION: IntentState.REQUIRES_ACTION,
    Status.AUTHORIZED: IntentState.REQUIRES_CAPTURE,
    Status.SUCCEEDED: IntentState.SUCCEEDED,
    Status.DECLINED: IntentState.REQUIRES_PAYMENT_METHOD,
    Status.VOIDED: IntentState.CANCELED,
}


def intent_state(intent: Intent, charge: Charge | None) -> IntentState:
    """Return where an intent stands, `charge` being its last try."""
    if charge is not None and charge.status is not Status.DECLINED:
        return _STATES[charge.status]
    if intent.canceled_at:
        return IntentState.CANCELED
    if charge is None and intent.method:
        return IntentState.REQUIRES_CONFIRMATION
    return IntentState.REQUIRES_PAYMENT_METHOD
