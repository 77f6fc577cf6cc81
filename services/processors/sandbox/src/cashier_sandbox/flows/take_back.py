"""What happens to a charge without the merchant asking: chargebacks, refunds in the back office."""

from __future__ import annotations

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.charge import Refund, Status
from cashier_sandbox.domain.dispute import OPEN, Chargeback, DisputeStage, DisputeStatus
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.refusals import Code, Refused


def charge_back(desk: Desk, charge_id: str, *, amount: int | None, reason: str) -> Chargeback:
    """Take money back for the payer, all that is left by default, plus the account's penalty."""
    draft = _take(desk, charge_id, Kind.CHARGEBACK, "dp", amount, {"reason": reason})
    desk.ledger.record(draft)
    return desk.book.chargebacks[draft.id]


def escalate(desk: Desk, name: str) -> Chargeback:
    """The next stage: an inquiry becomes a chargeback, and what was won is taken back again."""
    dispute = _known(desk, name)
    charge = desk.book.charges[dispute.charge]
    inquiry = dispute.stage is DisputeStage.INQUIRY
    won = dispute.stage is DisputeStage.CHARGEBACK and dispute.status is DisputeStatus.WON
    if not inquiry and not won:
        raise Refused(
            Code.STATE_REFUSED,
            f"{name} is a {dispute.stage} that is {dispute.status}: an inquiry goes on as a "
            "chargeback, and a chargeback that was won as a second one",
        )
    amount = min(dispute.amount, charge.refundable)
    if amount < 1:
        raise Refused(Code.STATE_REFUSED, f"nothing of {charge.id} is left to be taken back")
    desk.ledger.record(
        Draft(
            account=desk.account.name,
            kind=Kind.CHARGEBACK if inquiry else Kind.DISPUTE_AGAIN,
            id=name,
            charge=charge.id,
            reference=dispute.reference,
            currency=dispute.currency,
            moved=-amount,
            fee=desk.account.fees.chargeback(dispute.currency),
            detail={"reason": dispute.reason, "amount": amount},
        )
    )
    return desk.book.chargebacks[name]


def supply_information(desk: Desk, name: str) -> Chargeback:
    """The merchant answers in the processor's back office."""
    dispute = _known(desk, name)
    if dispute.status not in OPEN:
        raise Refused(Code.STATE_REFUSED, f"{name} is {dispute.status}: it is closed")
    desk.ledger.record(
        Draft(
            account=desk.account.name,
            kind=Kind.DISPUTE_EVIDENCE,
            id=name,
            charge=dispute.charge,
            reference=dispute.reference,
            currency=dispute.currency,
            detail={
                "evidence": {"uncategorized_text": "as told in the back office"},
                "metadata": {}, "submitted": True,
            },
        )
    )  # fmt: skip
    return desk.book.chargebacks[name]


def close_dispute(
    desk: Desk, name: str, status: DisputeStatus, *, key: str | None = None, fingerprint: str = ""
) -> Chargeback:
    """End a chargeback: WON gives the money back, the penalty stays; LOST changes nothing more."""
    dispute = _known(desk, name)
    if dispute.status not in OPEN:
        raise Refused(Code.STATE_REFUSED, f"{name} is {dispute.status}: it is closed for good")
    won = status is DisputeStatus.WON and dispute.stage is not DisputeStage.INQUIRY
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


def _known(desk: Desk, name: str) -> Chargeback:
    dispute = desk.book.chargebacks.get(name)
    if dispute is None:
        raise not_found("chargeback", name)
    return dispute


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
