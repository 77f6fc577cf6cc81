"""Protos to domain and back; what the contract's annotations cannot say is checked here."""

import re
from datetime import UTC, datetime
from typing import Final

from cashier.common.v1 import action_pb2, instrument_pb2, money_pb2
from cashier.crypto.v1 import transfer_pb2
from cashier.gateway.v1 import gateway_service_pb2, outcome_pb2, processor_account_pb2
from cashier_common.assets import is_known
from cashier_common.errors import AssetUnknown, FieldInvalid
from cashier_common.money import Money
from cashier_crypto.domain.account import METHOD, PROCESSOR, ProcessorAccount
from cashier_crypto.domain.address import checksummed
from cashier_crypto.domain.outcome import Outcome, Verdict
from cashier_crypto.domain.transfer import Command, Transfer
from cashier_crypto.flows.look_up import Question
from cashier_crypto.flows.stream_outcomes import LateOutcome

OPERATION: Final = re.compile(r"payments/pay_[a-z0-9]{1,64}/operations/[1-9][0-9]{0,8}")
METHOD_PREFIX: Final = "PAYMENT_METHOD_"
RAIL: Final = "crypto"
SHOWN_MAX_CHARS: Final = 64
_METHODS: Final = {
    value.number: value.name.removeprefix(METHOD_PREFIX)
    for value in instrument_pb2.PaymentMethod.DESCRIPTOR.values
}


def to_command(request: gateway_service_pb2.AuthorizeRequest) -> Command:
    """The deposit that was asked for; a refusal names the field."""
    if not request.capture:
        raise FieldInvalid("capture", "false", "true: what is sent on a chain cannot be held")
    return Command(
        merchant=request.merchant,
        operation=_operation(request.operation),
        account=request.processor_account,
        amount=_amount(request.amount),
        method=_METHODS[request.instrument.method],
        chain=request.instrument.chain,
        capture=request.capture,
        expire_at=(
            request.expire_time.ToDatetime(tzinfo=UTC) if request.HasField("expire_time") else None
        ),
    )


def to_question(request: gateway_service_pb2.LookUpRequest) -> Question:
    """The operation that is asked about."""
    return Question(
        merchant=request.merchant,
        operation=_operation(request.operation),
        account=request.processor_account,
        amount=_amount(request.amount),
        close_door=request.close_door,
    )


def outcome_to_proto(
    operation: str, account: str, outcome: Outcome, *, transfer: Transfer | None, reference: str
) -> outcome_pb2.Outcome:
    """An outcome; with the deposit at hand an awaited one says what the customer has to do."""
    proto = outcome_pb2.Outcome(
        operation=operation,
        state=outcome_pb2.Outcome.State.Value(f"STATE_{outcome.verdict.value}"),
        processor_account=account,
        processor_reference=reference,
        detail=outcome.detail,
    )
    proto.observe_time.FromDatetime(outcome.observed_at)
    if outcome.amount is not None:
        proto.amount.CopyFrom(_money(outcome.amount))
    if outcome.settlement is not None:
        proto.settlement.fee_schedule_version = outcome.settlement.fee_schedule_version
        proto.settlement.expected_fee.CopyFrom(_money(outcome.settlement.expected_fee))
        proto.settlement.due_time.FromDatetime(outcome.settlement.due_at)
    if transfer is not None and outcome.verdict is Verdict.ACTION_REQUIRED:
        proto.next_action.CopyFrom(_action(transfer))
    return proto


def late_to_proto(late: LateOutcome) -> gateway_service_pb2.OutcomeEvent:
    """A late outcome for whoever keeps a cursor."""
    return gateway_service_pb2.OutcomeEvent(
        shard=late.shard,
        position=late.position,
        merchant=late.merchant,
        outcome=outcome_to_proto(
            late.operation, late.account, late.outcome, transfer=None, reference=late.reference
        ),
        source=late.source,
        traceparent=late.traceparent,
    )


def account_to_proto(account: ProcessorAccount) -> processor_account_pb2.ProcessorAccount:
    """What the account can do; never its key or its nodes."""
    proto = processor_account_pb2
    return proto.ProcessorAccount(
        account_id=account.account_id,
        processor=PROCESSOR,
        state=proto.ProcessorAccount.State.Value(f"STATE_{account.state.value}"),
        merchants=sorted(account.merchants),
        methods=[instrument_pb2.PaymentMethod.Value(f"{METHOD_PREFIX}{METHOD}")],
        asset_codes=account.assets,
        countries=account.countries,
        limits=[
            proto.AmountLimit(asset_code=asset, min_minor=limit.min, max_minor=limit.max)
            for asset, limit in account.limits.items()
        ],
        fee_schedule=proto.FeeSchedule(version=account.fee_version),
        capabilities=proto.Capabilities(look_up=True, idempotency_keys=True),
        settlement_lag_days=account.settlement_lag_days,
        strict_controls=account.strict_controls,
    )


def transfer_to_proto(transfer: Transfer, height: int) -> transfer_pb2.Transfer:
    """The deposit with what was seen of it, when the chain was read up to `height`."""
    proto = transfer_pb2.Transfer(
        name=transfer.name,
        merchant=transfer.merchant,
        operation=transfer.operation,
        direction=transfer_pb2.Transfer.DIRECTION_DEPOSIT,
        state=transfer_pb2.Transfer.State.Value(f"STATE_{transfer.state.value}"),
        chain=transfer.chain,
        token_contract=checksummed(transfer.token.contract),
        expected_amount=_money(transfer.amount),
        destination_address=checksummed(transfer.address),
        required_confirmations=transfer.required_confirmations,
    )
    _set_time(proto, transfer.created_at, transfer.updated_at)
    seen = transfer.sighting
    if seen is not None:
        if transfer.observed is not None:
            proto.observed_amount.CopyFrom(_money(transfer.observed))
        proto.observed_units = str(seen.units)
        proto.source_address = checksummed(seen.source)
        proto.transaction_hash = seen.tx_hash
        proto.log_ordinal = seen.ordinal
        if transfer.in_chain:
            proto.block_number = seen.block_number
            proto.block_hash = seen.block_hash
            proto.confirmations = transfer.confirmations(height)
    return proto


def _set_time(proto: transfer_pb2.Transfer, created: datetime, updated: datetime) -> None:
    proto.create_time.FromDatetime(created)
    proto.update_time.FromDatetime(updated)


def _action(transfer: Transfer) -> action_pb2.NextAction:
    action = action_pb2.NextAction(
        chain_deposit=action_pb2.ChainDeposit(
            chain=transfer.chain,
            address=checksummed(transfer.address),
            token_contract=checksummed(transfer.token.contract),
            amount=_money(transfer.amount),
            required_confirmations=transfer.required_confirmations,
        )
    )
    action.expire_time.FromDatetime(transfer.expire_at)
    return action


def _operation(name: str) -> str:
    if OPERATION.fullmatch(name) is None:
        raise FieldInvalid(
            "operation", name[:SHOWN_MAX_CHARS], "a name like payments/pay_…/operations/1"
        )
    return name


def _amount(amount: money_pb2.Money) -> Money:
    if not is_known(amount.asset_code):
        raise AssetUnknown("amount.asset_code", amount.asset_code[:SHOWN_MAX_CHARS])
    if amount.minor <= 0:
        raise FieldInvalid("amount.minor", str(amount.minor), "a positive count of minor units")
    return Money(amount.minor, amount.asset_code)


def _money(amount: Money) -> money_pb2.Money:
    return money_pb2.Money(minor=amount.minor, asset_code=amount.asset)
