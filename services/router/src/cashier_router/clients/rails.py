"""The rails as the flows see them: one table of accounts, and answers that never guess."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC

import grpc
import structlog

from cashier.common.v1 import instrument_pb2, money_pb2
from cashier.gateway.v1 import (
    gateway_service_pb2,
    gateway_service_pb2_grpc,
    outcome_pb2,
    processor_account_pb2,
)
from cashier_common.errors import PeerUnavailable
from cashier_common.money import Money
from cashier_common.rpc.client import idempotency_key
from cashier_common.rpc.status import refusal_reason
from cashier_router.domain.instrument import Instrument, Method, TokenScope
from cashier_router.domain.lifecycle import OperationEvent
from cashier_router.domain.payment import CaptureMethod, Operation, Payment, SettlementTerms
from cashier_router.domain.progress import Outcome
from cashier_router.domain.routing import Account
from cashier_router.flows.ports import LateOutcome

# How old the table of accounts may become while a rail does not answer.
REFRESH_S = 5.0
REFRESH_CALL_S = 3.0

log = structlog.get_logger()
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
# A look-up that says one of these has brought no evidence.
_NO_NEWS = frozenset({_E.LOSE_TRACK, _E.ACCEPT, _E.ASK_CUSTOMER, _E.FAIL_UNSENT, _E.EXPIRE})
# The rail refused the request before it did anything with it.
_REFUSED_UNSENT = frozenset(
    {
        "FIELD_REQUIRED", "FIELD_INVALID", "REQUEST_UNDECODABLE", "CARD_NUMBER_REFUSED",
        "CALLER_UNKNOWN", "METHOD_DENIED", "MERCHANT_DENIED", "ASSET_UNKNOWN", "NOT_SERVED",
        "RESOURCE_NOT_FOUND", "STORE_UNAVAILABLE", "PEER_UNAVAILABLE", "NO_ELIGIBLE_ACCOUNT",
    }
)  # fmt: skip
_PULL_ENDS = frozenset({grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
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
_FUNDING = {"": 0, "credit": 1, "debit": 2, "prepaid": 3}


class RailClients:
    """See `flows.ports.Rails`."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._stubs = {
            rail: gateway_service_pb2_grpc.GatewayServiceStub(channel)
            for rail, channel in channels.items()
        }
        self._heard: dict[str, tuple[Account, ...]] = {}
        self._accounts: tuple[Account, ...] = ()

    @property
    def rails(self) -> Sequence[str]:
        """Names of the rails."""
        return tuple(self._stubs)

    @property
    def heard(self) -> bool:
        """Whether every rail was heard at least once."""
        return len(self._heard) == len(self._stubs)

    def accounts(self) -> Sequence[Account]:
        """The accounts of every rail, as last heard."""
        if not self._accounts:
            raise PeerUnavailable(peer="every rail")
        return self._accounts

    async def refresh(self) -> None:
        """Hear from every rail; one that is silent keeps what it last said."""
        await asyncio.gather(*(self._refresh(rail) for rail in self._stubs))
        self._accounts = tuple(account for accounts in self._heard.values() for account in accounts)

    async def authorize(
        self, payment: Payment, operation: Operation, *, timeout_s: float
    ) -> Outcome:
        """Send one operation; what is not recognised is LOSE_TRACK."""
        name = payment.operation_name(operation.number)
        request = _authorize_request(payment, operation, name)
        try:
            with idempotency_key(name):
                answer = await self._stubs[operation.rail].Authorize(
                    request,
                    timeout=timeout_s,
                    # A rail that restarts is waited for: refused and reset look alike, so failing
                    # at once would put the payment in doubt.
                    wait_for_ready=True,
                )
        except KeyError:
            return Outcome(_E.FAIL_UNSENT, detail=f"this router knows no rail {operation.rail}")
        except grpc.aio.AioRpcError as error:
            return _unanswered(error)
        return _first(answer, name)

    async def look_up(
        self, payment: Payment, operation: Operation, *, close_door: bool, timeout_s: float
    ) -> Outcome | None:
        """What became of an operation, or None when nothing new was learnt."""
        name = payment.operation_name(operation.number)
        request = gateway_service_pb2.LookUpRequest(
            merchant=payment.merchant, operation=name, processor_account=operation.account,
            amount=_money(operation.amount), close_door=close_door,
        )  # fmt: skip
        try:
            with idempotency_key(f"{name}:look-up:{operation.asks}"):
                answer = await self._stubs[operation.rail].LookUp(request, timeout=timeout_s)
        except (grpc.aio.AioRpcError, KeyError) as error:
            log.info("look_up_unanswered", operation=name, why=type(error).__name__)
            return None
        outcome = to_outcome(answer)
        if answer.operation != name or outcome is None or outcome.event in _NO_NEWS:
            return None
        return outcome

    async def follow(
        self, rail: str, shard: int, after: int, *, timeout_s: float
    ) -> AsyncIterator[LateOutcome]:
        """Late outcomes of a shard behind a position, as they come, until the time is up."""
        request = gateway_service_pb2.StreamOutcomesRequest(shard=shard, after_position=after)
        try:
            async for event in self._stubs[rail].StreamOutcomes(request, timeout=timeout_s):
                yield _late(rail, shard, event)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PULL_ENDS:
                log.warning("outcomes_not_pulled", rail=rail, code=error.code().name)
                raise PeerUnavailable(peer=rail) from None

    async def _refresh(self, rail: str) -> None:
        try:
            answer = await self._stubs[rail].ListCapabilities(
                gateway_service_pb2.ListCapabilitiesRequest(), timeout=REFRESH_CALL_S
            )
        except grpc.aio.AioRpcError as error:
            log.warning("rail_not_heard", rail=rail, code=error.code().name)
            return
        self._heard[rail] = tuple(_account(rail, account) for account in answer.accounts)


def to_outcome(answer: outcome_pb2.Outcome) -> Outcome | None:
    """A rail's answer as a value; None for a state that this version does not know."""
    event = _EVENTS.get(answer.state)
    if event is None:
        return None
    return Outcome(
        event=event,
        account=answer.processor_account,
        processor_reference=answer.processor_reference,
        amount=Money(answer.amount.minor, answer.amount.asset_code)
        if answer.HasField("amount")
        else None,
        processor_code=answer.decline.code,
        decline_meaning=answer.decline.meaning,
        next_action=answer.next_action.SerializeToString()
        if answer.HasField("next_action")
        else None,
        settlement=_settlement(answer),
        detail=answer.detail,
    )


def _late(rail: str, shard: int, event: gateway_service_pb2.OutcomeEvent) -> LateOutcome:
    payment, _, number = event.outcome.operation.rpartition("/operations/")
    outcome = to_outcome(event.outcome)
    return LateOutcome(
        rail=rail, shard=shard, position=event.position, merchant=event.merchant, payment=payment,
        number=int(number) if number.isdigit() else 0,
        outcome=outcome or Outcome(_E.LOSE_TRACK, detail=event.outcome.detail),
        # Taken back, or a state that this version does not know: evidence, never a transition.
        taken_back=outcome is None, source=event.source.lower(), traceparent=event.traceparent,
    )  # fmt: skip


def _first(answer: outcome_pb2.Outcome, name: str) -> Outcome:
    outcome = to_outcome(answer)
    if answer.operation != name:
        return Outcome(_E.CONTRADICT, detail=f"the rail answered about {answer.operation}")
    if outcome is None or outcome.event not in _FIRST_ANSWERS:
        return Outcome(_E.LOSE_TRACK, detail=answer.detail or "the rail does not know")
    return outcome


def _unanswered(error: grpc.aio.AioRpcError) -> Outcome:
    """NOT_SENT only on the rail's own word; refused and reset connections look alike."""
    info = refusal_reason(error)
    if info is not None and info.reason in _REFUSED_UNSENT:
        return Outcome(_E.FAIL_UNSENT, detail=f"the rail refused it unsent: {info.reason}")
    return Outcome(_E.LOSE_TRACK, detail=f"no answer from the rail: {error.code().name}")


def _settlement(answer: outcome_pb2.Outcome) -> SettlementTerms | None:
    if not answer.HasField("settlement"):
        return None
    return SettlementTerms(
        fee_schedule_version=answer.settlement.fee_schedule_version,
        expected_fee_minor=answer.settlement.expected_fee.minor,
        due_time=answer.settlement.due_time.ToDatetime(tzinfo=UTC),
    )


def _money(amount: Money) -> money_pb2.Money:
    return money_pb2.Money(minor=amount.minor, asset_code=amount.asset)


def _authorize_request(
    payment: Payment, operation: Operation, name: str
) -> gateway_service_pb2.AuthorizeRequest:
    terms = payment.terms
    return gateway_service_pb2.AuthorizeRequest(
        merchant=payment.merchant,
        operation=name,
        processor_account=operation.account,
        amount=_money(operation.amount),
        capture=payment.capture_method is CaptureMethod.AUTOMATIC,
        instrument=_instrument(terms.instrument, operation.account),
        merchant_reference=payment.merchant_reference,
        statement_descriptor=terms.statement_descriptor,
        return_url=terms.return_url,
        off_session=terms.off_session,
    )


def _instrument(instrument: Instrument, account: str) -> instrument_pb2.Instrument:
    """The instrument with the tokens that this account may see, and no other account's."""
    return instrument_pb2.Instrument(
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


def _account(rail: str, account: processor_account_pb2.ProcessorAccount) -> Account:
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
        vault_tokens=account.vault_tokens_accepted, strict_controls=account.strict_controls,
    )  # fmt: skip
