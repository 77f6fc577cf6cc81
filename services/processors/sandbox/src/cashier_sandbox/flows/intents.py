"""Intents: make one, try to be paid for it, give it up; a try is a charge of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.charge import Charge, Status
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.domain.intent import Intent, IntentState, intent_state
from cashier_sandbox.domain.script import Behaviour
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.operate import Wish, capture_draft, charge_draft, void_draft
from cashier_sandbox.flows.perform import Done, Order, perform
from cashier_sandbox.flows.refusals import Code, Refused

_CONFIRMABLE = (IntentState.REQUIRES_PAYMENT_METHOD, IntentState.REQUIRES_CONFIRMATION)
_CANCELABLE = (*_CONFIRMABLE, IntentState.REQUIRES_ACTION, IntentState.REQUIRES_CAPTURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What of an intent is captured: `amount` None is all that is left."""

    amount: int | None
    final: bool
    reference: str
    metadata: Mapping[str, str]


def intent_id(desk: Desk, order: Order) -> str:
    """Return the id of the intent that an order makes."""
    return stable_id("pi", desk.seed, desk.account.name, order.key)


def last_try(desk: Desk, intent: Intent) -> Charge | None:
    """Return the charge of an intent's last confirmation."""
    return desk.book.charges.get(intent.charge)


async def create_intent(
    desk: Desk, order: Order, wish: Wish, said: Mapping[str, Any], *, confirm: bool
) -> Done:
    """Make an intent and, with `confirm`, try it in the same ledger line: both or nothing."""

    def effect(behaviour: Behaviour) -> Draft:
        if confirm:
            return charge_draft(desk, order, wish, behaviour, intent=said)
        return Draft(
            account=desk.account.name,
            kind=Kind.INTENT,
            id=said["id"],
            key=order.key,
            reference=wish.reference,
            currency=order.ask.currency,
            detail={"fingerprint": order.fingerprint, "intent": said},
        )

    return await perform(desk, order, effect)


async def confirm_intent(desk: Desk, order: Order, wish: Wish, said: Mapping[str, Any]) -> Done:
    """Try an intent that waits for it; `said` is what the confirmation changes of it."""

    def effect(behaviour: Behaviour) -> Draft:
        intent = _expect(desk, said["id"], "confirmed", _CONFIRMABLE)
        state = intent_state(intent, last_try(desk, intent))
        if state is IntentState.REQUIRES_PAYMENT_METHOD and not said.get("method"):
            raise Refused(
                Code.STATE_REFUSED,
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
                "payment_method",
                {"code": "payment_intent_unexpected_state", "payment_intent": intent.id},
            )
        return charge_draft(desk, order, wish, behaviour, intent=said)

    return await perform(desk, order, effect)


async def capture_intent(desk: Desk, order: Order, name: str, taking: Taking) -> Done:
    """Take an authorized intent's money; without multicapture the first capture is the last."""

    def effect(_: Behaviour) -> Draft:
        intent = _expect(desk, name, "captured", (IntentState.REQUIRES_CAPTURE,))
        charge = desk.book.charges[intent.charge]
        amount = charge.capturable if taking.amount is None else taking.amount
        if amount > charge.capturable:
            raise Refused(
                Code.STATE_REFUSED,
                f"The amount_to_capture of {amount} minor units is more than the "
                f"{charge.capturable} that can be captured of {name}.",
                "amount_to_capture",
                {"code": "amount_too_large", "payment_intent": name},
            )
        if not taking.final and not intent.multicapture:
            raise Refused(
                Code.STATE_REFUSED,
                "final_capture can be false only where the intent was confirmed with "
                "payment_method_options[card][request_multicapture]=if_available.",
                "final_capture",
                {"code": "parameter_invalid", "payment_intent": name},
            )
        draft = capture_draft(
            desk, order, charge, amount=amount, reference=taking.reference, final=taking.final
        )
        merged = {**intent.metadata, **taking.metadata}
        return _with(draft, {"metadata": merged} if taking.metadata else {})

    return await perform(desk, order, effect)


async def cancel_intent(desk: Desk, order: Order, name: str, *, reason: str) -> Done:
    """Close an intent for good; what it holds of the payer's money is released."""

    def effect(_: Behaviour) -> Draft:
        intent = _expect(desk, name, "canceled", _CANCELABLE)
        charge = last_try(desk, intent)
        if charge and charge.status in {Status.AUTHORIZED, Status.REQUIRES_ACTION}:
            return _with(void_draft(desk, order, charge, reference=""), {"reason": reason})
        return Draft(
            account=desk.account.name,
            kind=Kind.INTENT_CANCELED,
            id=name,
            key=order.key,
            reference=intent.reference,
            currency=intent.currency,
            detail={"fingerprint": order.fingerprint, "reason": reason},
        )

    return await perform(desk, order, effect)


def _expect(desk: Desk, name: str, verb: str, states: tuple[IntentState, ...]) -> Intent:
    intent = desk.book.intents[name]
    state = intent_state(intent, last_try(desk, intent))
    if state not in states:
        raise Refused(
            Code.STATE_REFUSED,
            f"This PaymentIntent could not be {verb} because it has a status of {state}. Only a "
            f"PaymentIntent with one of the following statuses may be {verb}: {', '.join(states)}.",
            None,
            {"code": "payment_intent_unexpected_state", "payment_intent": name},
        )
    return intent


def _with(draft: Draft, more: Mapping[str, Any]) -> Draft:
    return replace(draft, detail={**draft.detail, **more})
