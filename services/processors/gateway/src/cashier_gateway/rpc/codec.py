"""Domain to protos: outcomes and accounts as callers see them."""

from datetime import datetime
from typing import Final

from cashier.common.v1 import action_pb2, instrument_pb2, money_pb2
from cashier.gateway.v1 import gateway_service_pb2, outcome_pb2, processor_account_pb2
from cashier_common.money import Money
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.domain.notice import DisputeNews
from cashier_gateway.domain.outcome import Action, Outcome
from cashier_gateway.flows.stream_outcomes import LateOutcome

METHOD_PREFIX: Final = "PAYMENT_METHOD_"
RAIL: Final = "gateway"
_STATES: Final[dict[State, outcome_pb2.Outcome.State.ValueType]] = {
    state: outcome_pb2.Outcome.State.Value(f"STATE_{state.value}")
    for state in State
    if state not in {State.ABSENT, State.SUBMITTING}
}
IN_DOUBT: Final = outcome_pb2.Outcome.STATE_IN_DOUBT


def call_to_proto(call: Call) -> outcome_pb2.Outcome:
    """The outcome as it stands; what is still being sent is in doubt for all but its owner."""
    return _outcome(
        operation=call.operation,
        account=call.account,
        state=call.state,
        reference=call.reference,
        outcome=call.outcome,
    )


def in_doubt(operation: str, account: str, *, detail: str, at: datetime) -> outcome_pb2.Outcome:
    """The answer where no row can be shown."""
    proto = outcome_pb2.Outcome(
        operation=operation, state=IN_DOUBT, processor_account=account, detail=detail
    )
    proto.observe_time.FromDatetime(at)
    return proto


def late_to_proto(late: LateOutcome) -> gateway_service_pb2.OutcomeEvent:
    """A late outcome, or what was told beside the outcome, for whoever keeps a cursor."""
    outcome = _outcome(
        operation=late.operation,
        account=late.account,
        state=late.state,
        reference=late.reference,
        outcome=late.outcome,
    )
    if late.told:
        outcome.state = outcome_pb2.Outcome.State.Value(f"STATE_{late.told}")
    outcome.reversal_reference = late.reversal_reference
    if late.dispute is not None:
        outcome.dispute.CopyFrom(_dispute(late.dispute))
        if late.occurred_at is not None:
            outcome.dispute.event_time.FromDatetime(late.occurred_at)
    return gateway_service_pb2.OutcomeEvent(
        shard=late.shard,
        position=late.position,
        merchant=late.merchant,
        outcome=outcome,
        source=late.source,
        traceparent=late.traceparent,
    )


def account_to_proto(account: ProcessorAccount) -> processor_account_pb2.ProcessorAccount:
    """What the account can do; never its address or credential."""
    proto = processor_account_pb2
    return proto.ProcessorAccount(
        account_id=account.account_id,
        processor=account.processor,
        state=proto.ProcessorAccount.State.Value(f"STATE_{account.state.value}"),
        merchants=sorted(account.merchants),
        methods=[
            instrument_pb2.PaymentMethod.Value(f"{METHOD_PREFIX}{name}") for name in account.methods
        ],
        asset_codes=account.assets,
        countries=account.countries,
        licences=account.licences,
        merchant_category_codes=account.merchant_category_codes,
        limits=[
            proto.AmountLimit(asset_code=asset, min_minor=limit.min, max_minor=limit.max)
            for asset, limit in account.limits.items()
        ],
        fee_schedule=proto.FeeSchedule(
            version=account.fees.version,
            percent_bps=account.fees.percent_bps,
            fixed=[
                money_pb2.Money(minor=minor, asset_code=asset)
                for asset, minor in account.fees.fixed.items()
            ],
        ),
        card_brands=account.card_brands,
        capabilities=proto.Capabilities(
            **account.capabilities.model_dump(), idempotency_keys=account.honours_idempotency_keys
        ),
        vault_tokens_accepted=account.vault_tokens_accepted,
        settlement_lag_days=account.settlement_lag_days,
        strict_controls=account.strict_controls,
        max_installments=account.installments_max,
        payer_required=account.payer_required,
    )


def _outcome(
    *, operation: str, account: str, state: State, reference: str, outcome: Outcome | None
) -> outcome_pb2.Outcome:
    proto = outcome_pb2.Outcome(
        operation=operation,
        state=_STATES.get(state, IN_DOUBT),
        processor_account=account,
        processor_reference=reference,
    )
    if outcome is None:
        proto.detail = "the operation is at the processor and has no answer yet"
        return proto
    proto.detail = outcome.detail
    proto.observe_time.FromDatetime(outcome.observed_at)
    if outcome.amount is not None:
        _set(proto.amount, outcome.amount)
    if outcome.decline is not None:
        proto.decline.code = outcome.decline.code
        proto.decline.network_advice = outcome.decline.network_advice
        proto.decline.meaning = outcome.decline.meaning
        proto.decline.category = outcome.decline.category
    if outcome.action is not None:
        proto.next_action.CopyFrom(_action(outcome.action))
    if outcome.settlement is not None:
        proto.settlement.fee_schedule_version = outcome.settlement.fee_schedule_version
        _set(proto.settlement.expected_fee, outcome.settlement.expected_fee)
        proto.settlement.due_time.FromDatetime(outcome.settlement.due_at)
    if outcome.risk_ppm is not None:
        proto.processor_risk_ppm = outcome.risk_ppm
    return proto


def _dispute(news: DisputeNews) -> outcome_pb2.DisputeNotice:
    notice = outcome_pb2.DisputeNotice
    proto = notice(
        processor_reference=news.reference,
        stage=notice.Stage.Value(f"STAGE_{news.stage.value if news.stage else 'UNSPECIFIED'}"),
        state_only=news.stage is None,
        movement_count=news.moves,
        state=notice.State.Value(f"STATE_{news.state.value}"),
        funds_withdrawn=news.funds_withdrawn,
        reason_code=news.reason_code,
        arn=news.arn,
        liability_shifted=news.liability_shifted,
    )
    if news.amount is not None:
        _set(proto.amount, news.amount)
    if news.fee is not None:
        _set(proto.fee, news.fee)
    if news.evidence_due_at is not None:
        proto.evidence_due_time.FromDatetime(news.evidence_due_at)
    return proto


def _action(action: Action) -> action_pb2.NextAction:
    proto = action_pb2.NextAction()
    if action.code:
        code = action_pb2.DisplayCode(kind=action.kind, code=action.code, url=action.url)
        proto.display_code.CopyFrom(code)
    elif action.url:
        proto.redirect.CopyFrom(action_pb2.Redirect(url=action.url, http_method="GET"))
    else:
        proto.sdk_data.CopyFrom(action_pb2.SdkData(sdk=action.sdk, data=action.data))
    if action.expire_at is not None:
        proto.expire_time.FromDatetime(action.expire_at)
    return proto


def _set(proto: money_pb2.Money, amount: Money) -> None:
    proto.minor, proto.asset_code = amount.minor, amount.asset
