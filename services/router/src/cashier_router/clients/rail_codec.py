"""The rails' messages: operations as requests, answers as outcomes, accounts as values."""

from datetime import UTC

import grpc

from cashier.common.v1 import customer_pb2, instrument_pb2, money_pb2
from cashier.gateway.v1 import gateway_service_pb2, outcome_pb2, processor_account_pb2
from cashier.payments.v1 import payment_service_pb2
from cashier_common.money import Money
from cashier_common.rpc.status import refusal_reason
from cashier_router.domain.instrument import Instrument, Method, TokenScope
from cashier_router.domain.lifecycle import OperationEvent, OperationKind
from cashier_router.domain.payment import Operation, Payment, SettlementTerms, Terms
from cashier_router.domain.progress import Outcome
from cashier_router.domain.routing import Account

_O = outcome_pb2.Outcome
_E = OperationEvent
_EVENTS: dict[int, OperationEvent] = {
    _O.STATE_SUCCEEDED: _E.SUCCEED,
    _O.STATE_DECLINED_HARD: _E.DECLINE_HARD,
    _O.STATE_DECLINED_SOFT: _E.DECLINE_SOFT,
    _O.STATE_NOT_SENT: _E.FAIL_UNSENT,
    _O.STATE_PENDING: _E.ACCEPT,
    _O.STATE_ACTION_REQUIRED: _E.ASK_CUSTOMER,
    _O.STATE_IN_DOUBT: _E.LOSE_TRACK,
    _O.STATE_NOT_FOUND: _E.PROVE_ABSENT,
    _O.STATE_EXPIRED: _E.EXPIRE,
    _O.STATE_CONFLICTED: _E.CONTRADICT,
    _O.STATE_MANUAL_REVIEW: _E.ESCALATE,
}
# What a first answer may be. Anything else is a doubt that the janitor asks about.
_FIRST_ANSWERS = frozenset(
    {
        _E.SUCCEED, _E.DECLINE_HARD, _E.DECLINE_SOFT, _E.FAIL_UNSENT, _E.ACCEPT,
        _E.ASK_CUSTOMER, _E.CONTRADICT,
    }
)  # fmt: skip
# The fencing epoch of whoever promised the operation; taking over raises it.
FIRST_EPOCH = 1
# The rail refused the request before it did anything with it.
_REFUSED_UNSENT = frozenset(
    {
        "FIELD_REQUIRED", "FIELD_INVALID", "REQUEST_UNDECODABLE", "CARD_NUMBER_REFUSED",
        "CALLER_UNKNOWN", "METHOD_DENIED", "MERCHANT_DENIED", "ASSET_UNKNOWN", "NOT_SERVED",
        "RESOURCE_NOT_FOUND", "STORE_UNAVAILABLE", "PEER_UNAVAILABLE", "NO_ELIGIBLE_ACCOUNT",
        "TARGET_UNKNOWN",
    }
)  # fmt: skip
_METHODS: dict[Method, int] = {
    Method.CARD: instrument_pb2.PAYMENT_METHOD_CARD,
    Method.ACH: instrument_pb2.PAYMENT_METHOD_ACH,
    Method.RTP: instrument_pb2.PAYMENT_METHOD_RTP,
    Method.SEPA: instrument_pb2.PAYMENT_METHOD_SEPA,
    Method.PIX: instrument_pb2.PAYMENT_METHOD_PIX,
    Method.VOUCHER: instrument_pb2.PAYMENT_METHOD_VOUCHER,
    Method.STABLECOIN: instrument_pb2.PAYMENT_METHOD_STABLECOIN,
}
_METHOD_NAMES = {number: method for method, number in _METHODS.items()}
_SCOPES = {
    TokenScope.PROCESSOR_ACCOUNT: instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT,
    TokenScope.VAULT: instrument_pb2.InstrumentToken.SCOPE_VAULT,
    TokenScope.NETWORK: instrument_pb2.InstrumentToken.SCOPE_NETWORK,
}
# The requests that personal data come with.
_ASKED = (payment_service_pb2.CreatePaymentRequest, payment_service_pb2.CreatePayoutRequest)
_FUNDING = {"": 0, "credit": 1, "debit": 2, "prepaid": 3}


def method_name(number: int) -> str:
    """The name of a method as segments of health have it; "" for none."""
    method = _METHOD_NAMES.get(number)
    return method.upper() if method else ""


def to_outcome(answer: outcome_pb2.Outcome) -> Outcome | None:
    """A rail's answer as a value; None for a state that this version does not know."""
    event = _EVENTS.get(answer.state)
    if event is None:
        return None
    return Outcome(
        event=event,
        account=answer.processor_account,
        processor_reference=answer.processor_reference,
        amount=told_amount(answer),
        processor_code=answer.decline.code,
        decline_meaning=answer.decline.meaning,
        next_action=answer.next_action.SerializeToString()
        if answer.HasField("next_action")
        else None,
        settlement=told_settlement(answer),
        detail=answer.detail,
    )


def told_amount(told: outcome_pb2.Outcome) -> Money | None:
    """What the rail says was moved, where it says so."""
    return Money(told.amount.minor, told.amount.asset_code) if told.HasField("amount") else None


def first_outcome(answer: outcome_pb2.Outcome, name: str) -> Outcome:
    """A rail's first answer; what a first answer may not be is a doubt."""
    outcome = to_outcome(answer)
    if answer.operation != name:
        return Outcome(_E.CONTRADICT, detail=f"the rail answered about {answer.operation}")
    if outcome is None or outcome.event not in _FIRST_ANSWERS:
        return Outcome(_E.LOSE_TRACK, detail=answer.detail or "the rail does not know")
    return outcome


def unanswered(operation: Operation, error: grpc.aio.AioRpcError) -> Outcome:
    """NOT_SENT only on the rail's own word; refused and reset connections look alike.

    A refusal is about this request. Who took the operation over cannot know what its earlier sender
    reached: the rail may refuse now what it did then (an account that is gone, a store that is
    away), so for him it is a doubt.
    """
    info = refusal_reason(error)
    first = operation.lease_epoch == FIRST_EPOCH
    if first and info is not None and info.reason in _REFUSED_UNSENT:
        return Outcome(_E.FAIL_UNSENT, detail=f"the rail refused it unsent: {info.reason}")
    return Outcome(_E.LOSE_TRACK, detail=f"no answer from the rail: {error.code().name}")


def told_settlement(answer: outcome_pb2.Outcome) -> SettlementTerms | None:
    """What the rail says will settle, where it says so."""
    if not answer.HasField("settlement"):
        return None
    return SettlementTerms(
        fee_schedule_version=answer.settlement.fee_schedule_version,
        expected_fee_minor=answer.settlement.expected_fee.minor,
        due_time=answer.settlement.due_time.ToDatetime(tzinfo=UTC),
    )


def money(amount: Money) -> money_pb2.Money:
    """An amount for the wire."""
    return money_pb2.Money(minor=amount.minor, asset_code=amount.asset)


def authorize_request(
    payment: Payment, operation: Operation, personal: object
) -> gateway_service_pb2.AuthorizeRequest:
    """An authorization, with capture where the payment captures at once."""
    terms = payment.terms
    return gateway_service_pb2.AuthorizeRequest(
        merchant=payment.merchant,
        operation=payment.operation_name(operation.number),
        processor_account=operation.account,
        amount=money(operation.amount),
        capture=payment.captures_at_once,
        instrument=_instrument(terms.instrument, operation.account, personal),
        customer=_customer(terms, personal),
        installments=terms.installments,
        merchant_reference=payment.merchant_reference,
        statement_descriptor=terms.statement_descriptor,
        return_url=terms.return_url,
        off_session=terms.off_session,
    )


def payout_request(
    payment: Payment, operation: Operation, personal: object
) -> gateway_service_pb2.PayoutRequest:
    """A payout to the customer's instrument."""
    return gateway_service_pb2.PayoutRequest(
        merchant=payment.merchant, operation=payment.operation_name(operation.number),
        processor_account=operation.account, amount=money(operation.amount),
        instrument=_instrument(payment.terms.instrument, operation.account, personal),
        customer=_customer(payment.terms, personal),
        merchant_reference=payment.merchant_reference,
    )  # fmt: skip


def capture_request(payment: Payment, operation: Operation) -> gateway_service_pb2.CaptureRequest:
    """A capture of what the target authorized."""
    return gateway_service_pb2.CaptureRequest(
        merchant=payment.merchant, operation=payment.operation_name(operation.number),
        authorization=payment.operation_name(operation.target or 0),
        amount=money(operation.amount), final=operation.final,
    )  # fmt: skip


def void_request(payment: Payment, operation: Operation) -> gateway_service_pb2.VoidRequest:
    """A release of what the target authorized."""
    return gateway_service_pb2.VoidRequest(
        merchant=payment.merchant, operation=payment.operation_name(operation.number),
        authorization=payment.operation_name(operation.target or 0),
        amount=money(operation.amount),
    )  # fmt: skip


def refund_request(payment: Payment, operation: Operation) -> gateway_service_pb2.RefundRequest:
    """Money back of what the target took."""
    return gateway_service_pb2.RefundRequest(
        merchant=payment.merchant, operation=payment.operation_name(operation.number),
        capture=payment.operation_name(operation.target or 0),
        amount=money(operation.amount), reason=operation.reason,
    )  # fmt: skip


def method_of(payment: Payment, operation: Operation) -> OperationKind:
    """Which of the rail's methods does it; a reversal voids what is held and refunds the rest."""
    if operation.kind is not OperationKind.REVERSAL:
        return operation.kind
    target = payment.operation(operation.target or 0)
    held = target.kind is OperationKind.AUTHORIZE and not payment.captures_at_once
    return OperationKind.VOID if held else OperationKind.REFUND


def _customer(terms: Terms, personal: object) -> customer_pb2.Customer:
    """Where the customer lives, and who he is where the account has to know."""
    customer = customer_pb2.Customer(country=terms.customer_country)
    if isinstance(personal, _ASKED):
        customer.email = personal.customer.email
        customer.document = personal.customer.document
    return customer


def _instrument(
    instrument: Instrument, account: str, personal: object
) -> instrument_pb2.Instrument:
    """The instrument with the tokens that this account may see, and no other account's."""
    return instrument_pb2.Instrument(
        holder_name=personal.instrument.holder_name if isinstance(personal, _ASKED) else "",
        method=instrument_pb2.PaymentMethod.ValueType(_METHODS[instrument.method]),
        fingerprint=instrument.fingerprint, bin=instrument.bin, brand=instrument.brand,
        funding=instrument_pb2.CardFunding.ValueType(_FUNDING[instrument.funding]),
        issuer_country=instrument.issuer_country, last4=instrument.last4, chain=instrument.chain,
        wallet_address=instrument.wallet_address,
        tokens=[
            instrument_pb2.InstrumentToken(
                scope=_SCOPES[token.scope], processor_account=token.account, token=token.value
            )
            for token in instrument.tokens
            if token.scope is not TokenScope.PROCESSOR_ACCOUNT or token.account == account
        ],
    )  # fmt: skip


def to_account(rail: str, account: processor_account_pb2.ProcessorAccount) -> Account:
    """An account as its rail describes it."""
    schedule = account.fee_schedule
    return Account(
        account_id=account.account_id, rail=rail, processor=account.processor,
        enabled=account.state == processor_account_pb2.ProcessorAccount.STATE_ENABLED,
        merchants=frozenset(account.merchants),
        methods=frozenset(_METHOD_NAMES[m] for m in account.methods if m in _METHOD_NAMES),
        assets=frozenset(account.asset_codes), countries=frozenset(account.countries),
        merchant_category_codes=frozenset(account.merchant_category_codes),
        card_brands=frozenset(account.card_brands),
        limits={limit.asset_code: (limit.min_minor, limit.max_minor) for limit in account.limits},
        fee_version=schedule.version, fee_bps=schedule.percent_bps,
        fee_fixed={fixed.asset_code: fixed.minor for fixed in schedule.fixed},
        manual_capture=account.capabilities.manual_capture,
        payout=account.capabilities.payout,
        vault_tokens=account.vault_tokens_accepted, strict_controls=account.strict_controls,
        max_installments=max(account.max_installments, 1),
    )  # fmt: skip
