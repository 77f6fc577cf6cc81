"""Give a waiting charge, refund or payout its answer."""

from __future__ import annotations

import asyncio
import time

from cashier_sandbox.domain.charge import UNRESOLVED, Charge, Payout, Refund, Resource, Status
from cashier_sandbox.domain.declines import EXPIRED
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.refusals import Code, Refused


def resolve(desk: Desk, name: str, *, decline: str | None) -> Resource:
    """Let it succeed, or decline it with a code; refused if it does not wait for an answer."""
    resource = desk.book.resource(name)
    if resource is None:
        raise not_found("charge, refund or payout", name)
    if resource.status not in UNRESOLVED:
        raise Refused(
            Code.STATE_REFUSED,
            f"{name} is {resource.status}; only pending and requires_action wait for an answer",
        )
    if decline == EXPIRED and desk.book.due.get(name, (0, None))[1] != EXPIRED:
        raise Refused(Code.STATE_REFUSED, f"{name} does not expire")
    return _answered(desk, resource, decline)


def pay_late(desk: Desk, name: str) -> Resource:
    """Let the payer pay what has expired; refused where it has not."""
    charge = desk.book.charges.get(name)
    if charge is None:
        raise not_found("charge", name)
    if charge.status is not Status.EXPIRED:
        raise Refused(Code.STATE_REFUSED, f"{name} is {charge.status}: it has not expired")
    return _answered(desk, charge, None)


def schedule_due(desk: Desk, name: str) -> None:
    """Resolve it when its own time has come; nothing if it was resolved before."""
    due_ms, decline = desk.book.due[name]
    delay_s = max(0.0, due_ms / 1000 - time.time())

    def answer() -> None:
        if name in desk.book.due:
            resolve(desk, name, decline=decline)

    asyncio.get_running_loop().call_later(delay_s, answer)


def _answered(desk: Desk, resource: Resource, decline: str | None) -> Resource:
    moved, fee = (0, 0) if decline else _moved(desk, resource)
    desk.ledger.record(
        Draft(
            account=desk.account.name,
            kind=Kind.RESOLVE,
            id=resource.id,
            charge=_charge_of(resource),
            reference=resource.reference,
            currency=resource.currency,
            moved=moved,
            fee=fee,
            detail={"decline": decline},
        )
    )
    return desk.book.resource(resource.id) or resource


def _moved(desk: Desk, resource: Resource) -> tuple[int, int]:
    fees, amount, currency = desk.account.fees, resource.amount, resource.currency
    match resource:
        case Charge(capture=True):
            return amount, fees.charge(amount, currency)
        case Refund():
            return -amount, 0
        case Payout():
            return -amount, fees.payout(currency)
        case _:
            return 0, 0


def _charge_of(resource: Resource) -> str | None:
    match resource:
        case Charge():
            return resource.id
        case Refund():
            return resource.charge
        case _:
            return None
