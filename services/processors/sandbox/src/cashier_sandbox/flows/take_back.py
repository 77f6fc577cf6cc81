"""What happens to a charge without the merchant asking: chargebacks, refunds in the back office."""

from __future__ import annotations

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.charge import Refund, Status
from cashier_sandbox.domain.dispute import OPEN, Chargeback, DisputeStatus
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.refusals import Code, Refused


def charge_back(desk: Desk, charge_id: str, *, amount: int | None, reason: str) -> Chargeback:
    """Take money back for the payer, all that is left by default, plus the account's penalty."""
    draft = _take(desk, charge_id, Kind.CHARGEBACK, "dp", amount, {"reason": reason})
    desk.ledger.record(draft)
    return desk.book.chargebacks[draft.id]


def close_dispute(
    desk: Desk, name: str, status: DisputeStatus, *, key: str | None = None, fingerprint: str = ""
) -> Chargeback:
    """End a chargeback: WON gives the money back, the penalty stays; LOST changes nothing more."""
    dispute = desk.book.chargebacks.get(name)
    if dispute is None:
        raise not_found("chargeback", name)
    if dispute.status not in OPEN:
        raise Refused(Code.STATE_REFUSED, f"{name} is {dispute.status}: it is closed for good")
    won = status is DisputeStatus.WON
    desk.ledger.record(
        Draft(
            account=desk.account.name,
            kind=Kind.DISPUTE_CLOSED,
            id=name,
            charge=dispute.charge,
            key=key,
            reference=dispute.reference,
            currency=dispute.currency,
            moved=dispute.amount if won else 0,
            detail={"status": status, "fingerprint": fingerprint},
        )
    )
    return desk.book.chargebacks[name]


def refund_externally(desk: Desk, charge_id: str, *, amount: int | None) -> Refund:
    """Refund as a person in the processor's back office would, without a key of ours."""
    detail: dict[str, object] = {"status": Status.SUCCEEDED, "metadata": {}, "decline": None}
    draft = _take(desk, charge_id, Kind.EXTERNAL_REFUND, "re", amount, detail)
    desk.ledger.record(draft)
    return desk.book.refunds[draft.id]


def _take(
    desk: Desk,
    charge_id: str,
    kind: Kind,
    prefix: str,
    amount: int | None,
    detail: dict[str, object],
) -> Draft:
    charge = desk.book.charges.get(charge_id)
    if charge is None:
        raise not_found("charge", charge_id)
    taken = charge.refundable if amount is None else amount
    if not 1 <= taken <= charge.refundable:
        raise Refused(
            Code.STATE_REFUSED,
            f"{taken} of {charge_id} cannot be taken back: {charge.refundable} of it is left",
            "amount",
        )
    place = len(desk.book.entries)
    return Draft(
        account=desk.account.name,
        kind=kind,
        id=stable_id(prefix, desk.seed, desk.account.name, kind, place),
        charge=charge.id,
        reference=charge.reference,
        currency=charge.currency,
        moved=-taken,
        fee=desk.account.fees.chargeback(charge.currency) if kind is Kind.CHARGEBACK else 0,
        detail=detail | {"amount": taken},
    )
