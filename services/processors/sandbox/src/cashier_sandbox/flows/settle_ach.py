"""A settlement time of the clearing house: what waits settles or is returned, and is reported."""

from __future__ import annotations

import asyncio

import structlog

from cashier_sandbox.domain.bank import Plan, Standing, Told
from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.fail_later import fail_later
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.flows.resolve import resolve

FIRST_DISHONORED = "R61"

_log = structlog.get_logger()


def settle_ach(desk: Desk) -> int:
    """Let one settlement time pass; how many entries were told of.

    A crash halfway leaves what was not reported to the next settlement time.
    """
    bank = desk.book.bank
    settled = [one.id for one in bank.entries.values() if one.standing is Standing.SETTLED]
    returned = [one.id for one in bank.entries.values() if one.standing is Standing.RETURNED]
    for entry in bank.waiting:
        plan = bank.plans.get(entry.id)
        bounces = plan is not None and _is_return(plan.code) and not plan.late
        resolve(desk, entry.id, decline=plan.code if plan and bounces else None)
        if plan and plan.code.startswith("C"):
            _tell(desk, entry.id, Told.CHANGED, plan.code)
    for name, plan in list(bank.plans.items()):
        if name in settled and _is_return(plan.code):
            _return(desk, name, plan)
        elif name in settled and plan.code.startswith("C"):
            _tell(desk, name, Told.CHANGED, plan.code)
        elif name in returned and plan.code >= FIRST_DISHONORED:
            _tell(desk, name, Told.DISHONORED, plan.code)
    told = len(bank.untold)
    for kind in (Told.SETTLED, Told.RETURNED):
        if any((item.told is Told.SETTLED) == (kind is Told.SETTLED) for item in bank.untold):
            _report(desk, kind)
    return told


async def settle_for_ever(desk: Desk) -> None:
    """Let a settlement time pass every `settles_every_s` seconds."""
    while True:
        await asyncio.sleep(desk.account.settles_every_s)
        try:
            settle_ach(desk)
        except Refused as refused:  # the disk is full: the next settlement time takes it up
            _log.warning("settlement.failed", account=desk.account.name, why=str(refused))


def plan_entry(desk: Desk, name: str, *, code: str) -> Plan:
    """Say what the next settlement times bring for an entry, by its id or trace number."""
    bank = desk.book.bank
    found = bank.entries.get(bank.by_trace.get(name, name))
    if found is None:
        raise not_found("entry", name)
    dishonors = code >= FIRST_DISHONORED and code.startswith("R")
    if dishonors != (found.standing is Standing.RETURNED):
        raise Refused(
            Code.STATE_REFUSED,
            f"{found.id} is {found.standing}: only a return is dishonored, and nothing else is",
        )
    plan = Plan(code=code, late=found.standing is not Standing.PENDING)
    desk.ledger.record(
        Draft(
            account=desk.account.name,
            kind=Kind.ACH_PLAN,
            id=found.id,
            detail={"code": plan.code, "late": plan.late},
        )
    )
    return plan


def _is_return(code: str) -> bool:
    return code.startswith("R") and code < FIRST_DISHONORED


def _return(desk: Desk, name: str, plan: Plan) -> None:
    try:
        fail_later(desk, name, code=plan.code)
    except Refused:  # it was given back meanwhile: the bank has nothing left to take
        desk.book.bank.plans.pop(name, None)


def _tell(desk: Desk, name: str, told: Told, code: str) -> None:
    detail = {"told": told, "code": code}
    desk.ledger.record(Draft(account=desk.account.name, kind=Kind.ACH_TOLD, id=name, detail=detail))


def _report(desk: Desk, kind: Told) -> None:
    place = len(desk.book.bank.reports)
    desk.ledger.record(
        Draft(
            account=desk.account.name,
            kind=Kind.ACH_REPORT,
            id=stable_id("rep", desk.seed, desk.account.name, place),
            detail={"type": kind},
        )
    )
