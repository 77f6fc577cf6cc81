"""What had succeeded fails at the bank: captures, refunds and payouts go back; banks ask."""

from __future__ import annotations

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.charge import Charge, Status
from cashier_sandbox.domain.entry import Draft, Entry, Kind
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.refusals import Code, Refused


def fail_later(desk: Desk, name: str, *, code: str) -> Entry:
    """Turn back a capture (`cap_…`, or `ch_…` captured at once), a refund or a payout."""
    if name in desk.book.failed_later:
        raise Refused(Code.STATE_REFUSED, f"{name} has failed before")
    return desk.ledger.record(_draft(desk, name, code))


def report_fraud(desk: Desk, charge_id: str) -> Entry:
    """Let the payer's bank tell the scheme that a charge was fraud; no money moves."""
    return _said(desk, charge_id, Kind.FRAUD_REPORTED, "fr", "fraudulent")


def request_information(desk: Desk, charge_id: str, *, reason: str) -> Entry:
    """Let the payer's bank ask about a charge, which opens an inquiry; no money moves."""
    return _said(desk, charge_id, Kind.INFORMATION_REQUESTED, "dp", reason)


def _said(desk: Desk, charge_id: str, kind: Kind, prefix: str, reason: str) -> Entry:
    charge = desk.book.charges.get(charge_id)
    if charge is None:
        raise not_found("charge", charge_id)
    place = len(desk.book.entries)
    return desk.ledger.record(
        Draft(
            account=desk.account.name,
            kind=kind,
            id=stable_id(prefix, desk.seed, desk.account.name, kind, place),
            charge=charge.id,
            reference=charge.reference,
            currency=charge.currency,
            detail={"reason": reason, "amount": charge.amount},
        )
    )


def _draft(desk: Desk, name: str, code: str) -> Draft:
    book, account = desk.book, desk.account
    detail = {"code": code}
    if (refund := book.refunds.get(name)) and refund.status is Status.SUCCEEDED:
        return Draft(
            account=account.name,
            kind=Kind.REFUND_FAILED,
            id=name,
            charge=refund.charge,
            reference=refund.reference,
            currency=refund.currency,
            moved=refund.amount,
            detail=detail,
        )
    if (payout := book.payouts.get(name)) and payout.status is Status.SUCCEEDED:
        return Draft(
            account=account.name,
            kind=Kind.PAYOUT_FAILED,
            id=name,
            reference=payout.reference,
            currency=payout.currency,
            moved=payout.amount,
            detail=detail,
        )
    charge, amount, reference = _captured(desk, name)
    if amount > charge.refundable:
        raise Refused(Code.STATE_REFUSED, f"{charge.id} was given back: {name} cannot fail now")
    return Draft(
        account=account.name,
        kind=Kind.CAPTURE_FAILED,
        id=name,
        charge=charge.id,
        reference=reference,
        currency=charge.currency,
        moved=-amount,
        fee=-account.fees.charge(amount, charge.currency),
        detail=detail,
    )


def _captured(desk: Desk, name: str) -> tuple[Charge, int, str]:
    at_once = desk.book.charges.get(name)
    if at_once and at_once.amount_captured and not at_once.captures:
        return at_once, at_once.amount_captured, at_once.reference
    for charge in desk.book.charges.values():
        for capture in charge.captures:
            if capture.id == name:
                return charge, capture.amount, capture.reference
    raise not_found("capture, refund or payout that succeeded", name)
