"""Requests about a payment that exists, to commands: captures, refunds, overrides."""

import re

from cashier.common.v1 import money_pb2
from cashier.payments.v1 import payment_admin_service_pb2, payment_pb2, payment_service_pb2
from cashier_common.errors import FieldInvalid
from cashier_common.money import Money
from cashier_router.domain.commands import (
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    RefundPayment,
    ReplayOperation,
    ResolveInDoubt,
)
from cashier_router.domain.lifecycle import OperationState
from cashier_router.rpc.command_codec import to_amount, to_text

REASON_MAX_CHARS = 512
OPERATOR_MAX_CHARS = 128
PROOF_MAX_CHARS = 512

_PAYMENT = re.compile(r"payments/pay_[a-z0-9]{1,64}")
_OPERATION = re.compile(r"(payments/pay_[a-z0-9]{1,64})/operations/([1-9][0-9]{0,3})")
_RESOLUTIONS = {
    payment_pb2.Operation.STATE_SUCCEEDED: OperationState.SUCCEEDED,
    payment_pb2.Operation.STATE_DECLINED_HARD: OperationState.DECLINED_HARD,
    payment_pb2.Operation.STATE_NOT_FOUND: OperationState.NOT_FOUND,
}


def to_capture(request: payment_service_pb2.CapturePaymentRequest, key: str) -> CapturePayment:
    """Take money that is authorized."""
    amount = _part(request.amount) if request.HasField("amount") else None
    return CapturePayment(
        merchant=request.merchant, key=key, payment=_payment(request.name), amount=amount,
        final=request.final,
    )  # fmt: skip


def to_cancel(request: payment_service_pb2.CancelPaymentRequest, key: str) -> CancelPayment:
    """Release what is authorized."""
    return CancelPayment(
        merchant=request.merchant, key=key, payment=_payment(request.name),
        reason=to_text("reason", request.reason, REASON_MAX_CHARS, required=False),
    )  # fmt: skip


def to_refund(request: payment_service_pb2.RefundPaymentRequest, key: str) -> RefundPayment:
    """Give money back."""
    return RefundPayment(
        merchant=request.merchant, key=key, payment=_payment(request.name),
        amount=_part(request.amount) if request.HasField("amount") else None,
        reason=to_text("reason", request.reason, REASON_MAX_CHARS, required=False),
    )  # fmt: skip


def to_confirm(request: payment_service_pb2.ConfirmPaymentRequest, key: str) -> ConfirmPayment:
    """Go on after the customer acted."""
    return ConfirmPayment(merchant=request.merchant, key=key, payment=_payment(request.name))


def to_replay(
    request: payment_admin_service_pb2.ReplayOperationRequest, key: str
) -> ReplayOperation:
    """Try an operation again, over an operator's name."""
    payment, number = _operation(request.operation)
    return ReplayOperation(
        merchant=request.merchant, key=key, payment=payment, number=number,
        operator=to_text("operator", request.operator, OPERATOR_MAX_CHARS),
        reason=to_text("reason", request.reason, REASON_MAX_CHARS), etag=request.etag,
    )  # fmt: skip


def to_resolution(
    request: payment_admin_service_pb2.ResolveInDoubtRequest, key: str
) -> ResolveInDoubt:
    """End a doubt by a proof, over an operator's name."""
    payment, number = _operation(request.operation)
    resolution = _RESOLUTIONS.get(request.resolution)
    if resolution is None:
        raise FieldInvalid(
            "resolution", str(request.resolution),
            "STATE_SUCCEEDED, STATE_DECLINED_HARD or STATE_NOT_FOUND",
        )  # fmt: skip
    return ResolveInDoubt(
        merchant=request.merchant, key=key, payment=payment, number=number,
        operator=to_text("operator", request.operator, OPERATOR_MAX_CHARS),
        reason=to_text("reason", request.reason, REASON_MAX_CHARS), etag=request.etag,
        resolution=resolution, proof=to_text("proof", request.proof, PROOF_MAX_CHARS),
    )  # fmt: skip


def _part(amount: money_pb2.Money) -> Money:
    return to_amount("amount", amount.minor, amount.asset_code)


def _payment(name: str) -> str:
    if _PAYMENT.fullmatch(name) is None:
        raise FieldInvalid("name", name[:64], "a name like payments/pay_…")
    return name


def _operation(name: str) -> tuple[str, int]:
    found = _OPERATION.fullmatch(name)
    if found is None:
        raise FieldInvalid("operation", name[:64], "a name like payments/pay_…/operations/1")
    return found[1], int(found[2])
