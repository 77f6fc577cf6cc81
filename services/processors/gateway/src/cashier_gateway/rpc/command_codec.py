"""Protos to commands: what the contract's annotations cannot say about them is checked here."""

import re
from collections.abc import Iterable
from datetime import UTC
from typing import Final

from cashier.common.v1 import customer_pb2, instrument_pb2, money_pb2
from cashier.gateway.v1 import gateway_service_pb2
from cashier_common.assets import is_known
from cashier_common.errors import AssetUnknown, FieldInvalid, FieldRequired
from cashier_common.money import Money
from cashier_gateway.domain.call import Command, Kind, Request
from cashier_gateway.domain.payer import INSTALLMENTS_MAX, Payer
from cashier_gateway.flows.complete import TARGET_FIELDS
from cashier_gateway.flows.look_up import Question

OPERATION: Final = re.compile(r"payments/pay_[a-z0-9]{1,64}/operations/[1-9][0-9]{0,8}")
METHOD_PREFIX: Final = "PAYMENT_METHOD_"
SHOWN_MAX_CHARS: Final = 64
# The customer is shown a code and pays with whatever he likes: there is nothing to hold.
WITHOUT_TOKEN: Final = frozenset({"PIX", "VOUCHER"})
_METHODS: Final = {
    value.number: value.name.removeprefix(METHOD_PREFIX)
    for value in instrument_pb2.PaymentMethod.DESCRIPTOR.values
}


def authorize_command(request: gateway_service_pb2.AuthorizeRequest) -> Command:
    """The authorization that was asked for; a refusal names the field."""
    instrument = request.instrument
    return Command(
        merchant=request.merchant,
        operation=_operation("operation", request.operation),
        account=request.processor_account,
        amount=_amount(request.amount),
        request=Request(
            kind=Kind.AUTHORIZE,
            token=(
                ""
                if _METHODS[instrument.method] in WITHOUT_TOKEN
                else _token(instrument.tokens, request.processor_account)
            ),
            capture=request.capture,
            method=_METHODS[instrument.method],
            installments=_installments(request),
            merchant_reference=request.merchant_reference,
            statement_descriptor=request.statement_descriptor,
            return_url=request.return_url,
            customer_id=request.customer.customer_id,
            customer_country=request.customer.country,
            off_session=request.off_session,
        ),
        expire_at=(
            request.expire_time.ToDatetime(tzinfo=UTC) if request.HasField("expire_time") else None
        ),
        payer=_payer(request.customer, instrument),
    )


def capture_command(request: gateway_service_pb2.CaptureRequest) -> Command:
    """The capture that was asked for."""
    return _acting_on(
        request, Request(kind=Kind.CAPTURE, target=request.authorization, final=request.final)
    )


def void_command(request: gateway_service_pb2.VoidRequest) -> Command:
    """The void that was asked for."""
    return _acting_on(request, Request(kind=Kind.VOID, target=request.authorization))


def refund_command(request: gateway_service_pb2.RefundRequest) -> Command:
    """The refund that was asked for."""
    return _acting_on(
        request, Request(kind=Kind.REFUND, target=request.capture, reason=request.reason)
    )


def payout_command(request: gateway_service_pb2.PayoutRequest) -> Command:
    """The payout that was asked for."""
    instrument = request.instrument
    return Command(
        merchant=request.merchant,
        operation=_operation("operation", request.operation),
        account=request.processor_account,
        amount=_amount(request.amount),
        request=Request(
            kind=Kind.PAYOUT,
            token=_token(instrument.tokens, request.processor_account),
            method=_METHODS[instrument.method],
            merchant_reference=request.merchant_reference,
            customer_id=request.customer.customer_id,
            customer_country=request.customer.country,
        ),
        payer=_payer(request.customer, instrument),
    )


def question(request: gateway_service_pb2.LookUpRequest) -> Question:
    """The operation that is asked about."""
    return Question(
        merchant=request.merchant,
        operation=_operation("operation", request.operation),
        account=request.processor_account,
        amount=_amount(request.amount),
        close_door=request.close_door,
    )


def _acting_on(
    request: gateway_service_pb2.CaptureRequest
    | gateway_service_pb2.VoidRequest
    | gateway_service_pb2.RefundRequest,
    asked: Request,
) -> Command:
    """A command on an earlier operation of the same payment; its row names the account."""
    operation = _operation("operation", request.operation)
    field = TARGET_FIELDS[asked.kind]
    target = _operation(field, asked.target)
    if target == operation or _payment(target) != _payment(operation):
        raise FieldInvalid(field, target, "another operation of the same payment")
    return Command(
        merchant=request.merchant,
        operation=operation,
        account="",
        amount=_amount(request.amount),
        request=asked,
    )


def _operation(field: str, name: str) -> str:
    if OPERATION.fullmatch(name) is None:
        shown = name[:SHOWN_MAX_CHARS]
        raise FieldInvalid(field, shown, "a name like payments/pay_…/operations/1")
    return name


def _payment(operation: str) -> str:
    return operation.partition("/operations/")[0]


def _amount(amount: money_pb2.Money) -> Money:
    if not amount.asset_code:
        raise FieldRequired("amount.asset_code")
    if not is_known(amount.asset_code):
        raise AssetUnknown("amount.asset_code", amount.asset_code[:SHOWN_MAX_CHARS])
    if amount.minor <= 0:
        raise FieldInvalid("amount.minor", str(amount.minor), "a positive count of minor units")
    return Money(amount.minor, amount.asset_code)


def _installments(request: gateway_service_pb2.AuthorizeRequest) -> int:
    """In how many parts; 0 for one, so that both ways to say it are the same request."""
    count = request.installments
    if not 0 <= count <= INSTALLMENTS_MAX:
        raise FieldInvalid("installments", str(count), f"between 1 and {INSTALLMENTS_MAX}")
    if count > 1 and request.instrument.method != instrument_pb2.PAYMENT_METHOD_CARD:
        raise FieldInvalid("installments", str(count), "unset: only cards are paid in installments")
    return count if count > 1 else 0


def _payer(customer: customer_pb2.Customer, instrument: instrument_pb2.Instrument) -> Payer | None:
    payer = Payer(instrument.holder_name, customer.email, customer.document)
    return payer if payer.is_known else None


def _token(tokens: Iterable[instrument_pb2.InstrumentToken], account: str) -> str:
    """The token that this account understands: tokens of a processor do not travel."""
    for token in tokens:
        if (
            token.scope == instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT
            and token.processor_account == account
        ):
            return token.token
    raise FieldInvalid(
        "instrument.tokens", "without a usable token", f"tokens with one of {account}"
    )
