"""Captures, cancels, refunds and reversals: "received" now, the result by webhook alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.charge import Charge, Status
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.domain.script import Behaviour
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.operate import Wish, capture_charge, refund_charge, void_charge
from cashier_sandbox.flows.perform import Order, perform
from cashier_sandbox.flows.refusals import Code, Refused
from cashier_sandbox.http.fields import Fields, json_body
from cashier_sandbox.processors.adyen import known
from cashier_sandbox.processors.adyen.amounts import amount_json, take_amount
from cashier_sandbox.processors.adyen.errors import required
from cashier_sandbox.processors.adyen.order import ignore, order_of, take_merchant, take_reference
from cashier_sandbox.processors.adyen.references import (
    References,
    psp_reference,
    psp_reference_of_key,
)
from cashier_sandbox.processors.adyen.wire import CREATED, said

# What the entry's detail remembers: the path that was asked, which names the webhook's event.
ASKED = "asked"
REASON = "reason"


async def post_capture(desk: Desk, request: web.Request, references: References) -> web.Response:
    """`POST /payments/{ref}/captures`: several partial ones are allowed."""
    asked = await _read(desk, request, "captures", references)
    charge, amount = asked.charge, asked.amount
    await capture_charge(
        desk,
        asked.order(Operation.CAPTURE),
        charge.id,
        amount=amount,
        reference=asked.reference,
        final=False,
    )
    return asked.received()


async def post_cancel(desk: Desk, request: web.Request, references: References) -> web.Response:
    """`POST /payments/{ref}/cancels`."""
    asked = await _read(desk, request, "cancels", references)
    order = asked.order(Operation.VOID)
    await void_charge(desk, order, asked.charge.id, reference=asked.reference)
    return asked.received()


async def post_refund(desk: Desk, request: web.Request, references: References) -> web.Response:
    """`POST /payments/{ref}/refunds`."""
    asked = await _read(desk, request, "refunds", references)
    await _refund(desk, asked, amount=asked.amount)
    return asked.received()


async def post_reversal(desk: Desk, request: web.Request, references: References) -> web.Response:
    """`POST /payments/{ref}/reversals`: cancels what is not captured, else refunds all of it."""
    asked = await _read(desk, request, "reversals", references)
    if asked.charge.amount_captured:
        await _refund(desk, asked, amount=None)
    else:
        order = asked.order(Operation.VOID)
        await void_charge(desk, order, asked.charge.id, reference=asked.reference)
    return asked.received()


async def post_cancel_by_reference(desk: Desk, request: web.Request) -> web.Response:
    """`POST /cancels`: the last payment with the merchant's reference, if there is one."""
    body = await json_body(request)
    fields = Fields(body)
    take_merchant(desk, fields)
    sought, reference = take_reference(fields, "paymentReference"), take_reference(fields)
    if not sought:
        raise required("130", "paymentReference")
    ignore(fields, known.MODIFICATION)
    fields.end()
    found = desk.book.by_reference.get((Operation.CHARGE, sought), [])
    charge = desk.book.charges[found[-1]] if found else None
    asked = _Asked(desk, request, body, "technical_cancels", charge, None, reference or sought)
    if charge:
        await void_charge(
            desk, asked.order(Operation.VOID), charge.id, reference=asked.merchant_reference
        )
    else:
        await perform(desk, asked.order(Operation.VOID), _not_there)
    return said(
        request,
        {
            "merchantAccount": desk.account.name,
            "paymentReference": sought,
            "pspReference": asked.psp_reference,
            "status": "received",
        }
        | ({"reference": reference} if reference else {}),
        status=CREATED,
    )


class _Asked:
    """One modification as it was asked; `amount` is None where all that is left is meant."""

    def __init__(
        self,
        desk: Desk,
        request: web.Request,
        body: Mapping[str, Any],
        path: str,
        charge: Charge | None,
        amount: int | None,
        reference: str,
    ) -> None:
        self.desk, self.request, self.body, self.path = desk, request, body, path
        self._charge, self.amount, self.reference = charge, amount, reference
        self._order: Order | None = None

    @property
    def charge(self) -> Charge:
        """The payment that is to be modified."""
        if self._charge is None:
            raise LookupError(f"{self.path} was asked of no payment")
        return self._charge

    @property
    def merchant_reference(self) -> str:
        """The modification's own reference, else the payment's."""
        return self.reference or (self._charge.reference if self._charge else "")

    @property
    def psp_reference(self) -> str:
        """The modification's own reference at Adyen: the same for the same key."""
        if self._order is None:
            raise LookupError("a modification gets its reference with its order")
        return psp_reference_of_key(self.desk, self._order.key)

    def order(self, operation: Operation) -> Order:
        """Return the order; a refusal by state is written down and told by webhook."""
        charge = self._charge
        currency = charge.currency if charge else ""
        ask = Ask(operation=operation, token="", currency=currency, amount=self.amount or 0)
        order = order_of(self.desk, self.request, self.body, ask, {ASKED: self.path}, self._late)
        self._order = order
        return order

    def received(self) -> web.Response:
        """Return the answer: that it was received, whatever comes of it."""
        body: dict[str, object] = {
            "merchantAccount": self.desk.account.name,
            "paymentPspReference": psp_reference(self.charge.id),
            "pspReference": self.psp_reference,
            "status": "received",
        }
        if self.reference:
            body["reference"] = self.reference
        if self.amount is not None:
            body["amount"] = amount_json(self.amount, self.charge.currency)
        if given := self.body.get("merchantRefundReason"):
            body["merchantRefundReason"] = given
        return said(self.request, body, status=CREATED)

    def _late(self, order: Order, refused: Refused) -> Draft:
        charge = self._charge and self.desk.book.charges[self._charge.id]
        account = self.desk.account.name
        return Draft(
            account=account,
            kind=Kind.MODIFICATION_REFUSED,
            id=stable_id("mod", self.desk.seed, account, order.key),
            charge=charge.id if charge else None,
            key=order.key,
            reference=self.merchant_reference,
            currency=charge.currency if charge else None,
            detail={
                "fingerprint": order.fingerprint,
                "operation": order.ask.operation,
                "amount": order.ask.amount or (charge.amount if charge else 0),
                REASON: _reason(order.ask.operation, charge),
                "said": refused.message,
            },
        )


async def _refund(desk: Desk, asked: _Asked, *, amount: int | None) -> None:
    wish = Wish(reference=asked.merchant_reference, metadata={})
    await refund_charge(
        desk, asked.order(Operation.REFUND), asked.charge.id, amount=amount, wish=wish
    )


async def _read(desk: Desk, request: web.Request, path: str, references: References) -> _Asked:
    body = await json_body(request)
    charge = references.charge(desk, request.match_info["reference"])
    fields = Fields(body)
    take_merchant(desk, fields)
    amount = None
    if path in {"captures", "refunds"}:
        amount, _ = take_amount(fields, frozenset({charge.currency}))
    reference = take_reference(fields)
    ignore(fields, known.MODIFICATION)
    fields.end()
    return _Asked(desk, request, body, path, charge, amount, reference)


def _not_there(_: Behaviour) -> Draft:
    raise Refused(Code.STATE_REFUSED, "this account has no payment with that reference")


def _reason(operation: Operation, charge: Charge | None) -> str:
    """What Adyen's webhook says of a modification that could not be done."""
    if charge is None:
        return "Transaction not found"
    if operation is Operation.REFUND and not charge.amount_captured:
        return "Transaction hasn't been captured, refund not possible"
    if operation is Operation.VOID and charge.status is not Status.AUTHORIZED:
        return f"Transaction is {charge.status}, cancel not possible"
    return "Insufficient balance on payment"
