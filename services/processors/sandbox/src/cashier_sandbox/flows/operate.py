"""The five things that a merchant can ask for, as ledger entries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.charge import UNRESOLVED, Charge, Status
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.domain.script import Behaviour, Verdict
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.perform import Done, Order, perform
from cashier_sandbox.flows.refusals import Code, Refused, invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a charge, refund or payout shall be; `reason` is a refund's.

    Without `payer_present` nobody can be sent anywhere: what would need an action is declined.
    """

    reference: str
    metadata: Mapping[str, str]
    capture: bool = True
    payer_present: bool = True
    reason: str = ""


_OPENED: dict[Verdict, Status] = {
    Verdict.SUCCEED: Status.SUCCEEDED,
    Verdict.DECLINE: Status.DECLINED,
    Verdict.PENDING: Status.PENDING,
    Verdict.ACTION: Status.REQUIRES_ACTION,
}


async def create_charge(desk: Desk, order: Order, wish: Wish) -> Done:
    """Charge or authorize once."""
    return await perform(
        desk, order, lambda behaviour: charge_draft(desk, order, wish, behaviour, intent=None)
    )


def charge_draft(
    desk: Desk,
    order: Order,
    wish: Wish,
    behaviour: Behaviour,
    *,
    intent: Mapping[str, Any] | None,
) -> Draft:
    """Return the ledger entry of a charge; with `intent` it is a try of that one."""
    ask, account = order.ask, desk.account
    if behaviour.verdict is Verdict.ACTION and not wish.payer_present:
        behaviour = replace(behaviour, verdict=Verdict.DECLINE, decline="authentication_required")
    name = stable_id("ch", desk.seed, account.name, order.key)
    status = _OPENED[behaviour.verdict]
    taken = status is Status.SUCCEEDED and wish.capture
    if status is Status.SUCCEEDED and not wish.capture:
        status = Status.AUTHORIZED
    detail = _detail(order, behaviour, status, wish.metadata)
    detail |= {"token": ask.token, "capture": wish.capture}
    if intent is not None:
        detail["intent"] = intent
    return Draft(
        account=account.name,
        kind=Kind.CHARGE,
        id=name,
        charge=name,
        key=order.key,
        reference=wish.reference,
        currency=ask.currency,
        moved=ask.amount if taken else 0,
        fee=account.fees.charge(ask.amount, ask.currency) if taken else 0,
        detail=detail,
    )


async def capture_charge(
    desk: Desk, order: Order, charge_id: str, *, amount: int | None, reference: str, final: bool
) -> Done:
    """Take a part of an authorization, or all that is left of it."""

    def effect(_: Behaviour) -> Draft:
        charge = desk.book.charges[charge_id]
        taken = charge.capturable if amount is None else amount
        return capture_draft(desk, order, charge, amount=taken, reference=reference, final=final)

    return await perform(desk, order, effect)


def capture_draft(
    desk: Desk, order: Order, charge: Charge, *, amount: int, reference: str, final: bool
) -> Draft:
    """Return the ledger entry of a capture; refused beyond what is left of the authorization."""
    _refuse_beyond(charge, "captured", amount, charge.capturable)
    return Draft(
        account=desk.account.name,
        kind=Kind.CAPTURE,
        id=stable_id("cap", desk.seed, desk.account.name, order.key),
        charge=charge.id,
        key=order.key,
        reference=reference or charge.reference,
        currency=charge.currency,
        moved=amount,
        fee=desk.account.fees.charge(amount, charge.currency),
        detail={"fingerprint": order.fingerprint, "final": final},
    )


async def void_charge(desk: Desk, order: Order, charge_id: str, *, reference: str) -> Done:
    """Release what is authorized and not captured; end an action that the payer did not take."""

    def effect(_: Behaviour) -> Draft:
        return void_draft(desk, order, desk.book.charges[charge_id], reference=reference)

    return await perform(desk, order, effect)


def void_draft(desk: Desk, order: Order, charge: Charge, *, reference: str) -> Draft:
    """Return the ledger entry of a release; refused where nothing is left to release."""
    if charge.status is not Status.REQUIRES_ACTION and charge.capturable == 0:
        raise Refused(
            Code.STATE_REFUSED,
            f"{charge.id} is {charge.status}: nothing of it is left to release",
        )
    return Draft(
        account=desk.account.name,
        kind=Kind.VOID,
        id=stable_id("void", desk.seed, desk.account.name, order.key),
        charge=charge.id,
        key=order.key,
        reference=reference or charge.reference,
        currency=charge.currency,
        detail={
            "fingerprint": order.fingerprint,
            "released": charge.capturable or charge.amount,
        },
    )


async def refund_charge(
    desk: Desk,
    order: Order,
    charge_id: str,
    *,
    amount: int | None,
    wish: Wish,
    guard: Callable[[Charge, int], None] = lambda _charge, _amount: None,
) -> Done:
    """Give money back, never more than was captured and is still here.

    `guard` may refuse in the words of an imitated API before the same is refused in ours.
    """

    def effect(behaviour: Behaviour) -> Draft:
        charge = desk.book.charges[charge_id]
        given = charge.refundable if amount is None else amount
        guard(charge, given)
        _refuse_beyond(charge, "refunded", given, charge.refundable)
        status = _OPENED[behaviour.verdict]
        return Draft(
            account=desk.account.name,
            kind=Kind.REFUND,
            id=stable_id("re", desk.seed, desk.account.name, order.key),
            charge=charge.id,
            key=order.key,
            reference=wish.reference,
            currency=charge.currency,
            moved=-given if status is Status.SUCCEEDED else 0,
            detail=_detail(order, behaviour, status, wish.metadata)
            | {"amount": given, "reason": wish.reason},
        )

    return await perform(desk, order, effect)


async def create_payout(desk: Desk, order: Order, wish: Wish) -> Done:
    """Send money to a customer; the sandbox is always funded."""
    ask, account = order.ask, desk.account

    def effect(behaviour: Behaviour) -> Draft:
        if behaviour.verdict is Verdict.ACTION:
            raise invalid("destination", f"destination {ask.token} cannot be used for a payout")
        status = _OPENED[behaviour.verdict]
        sent = status is Status.SUCCEEDED
        return Draft(
            account=account.name,
            kind=Kind.PAYOUT,
            id=stable_id("po", desk.seed, account.name, order.key),
            key=order.key,
            reference=wish.reference,
            currency=ask.currency,
            moved=-ask.amount if sent else 0,
            fee=account.fees.payout(ask.currency) if sent else 0,
            detail=_detail(order, behaviour, status, wish.metadata) | {"token": ask.token},
        )

    return await perform(desk, order, effect)


def _detail(
    order: Order, behaviour: Behaviour, status: Status, metadata: Mapping[str, str]
) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "fingerprint": order.fingerprint,
        "status": status,
        "amount": order.ask.amount,
        "metadata": metadata,
        "decline": behaviour.decline,
        "twist": behaviour.twist,
    }
    if behaviour.resolves_ms is not None and status in UNRESOLVED:
        detail["due_ms"] = int(time.time() * 1000) + behaviour.resolves_ms
        detail["due_decline"] = behaviour.resolves_decline
    return detail


def _refuse_beyond(charge: Charge, verb: str, amount: int, most: int) -> None:
    if not 1 <= amount <= most:
        raise Refused(
            Code.STATE_REFUSED,
            f"{amount} of {charge.id} cannot be {verb}: it is {charge.status} and {most} is left",
            "amount",
        )
