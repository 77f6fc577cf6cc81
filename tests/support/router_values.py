"""Values of the router's domain for tests, so that a test names only what it changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cashier_common.money import Money
from cashier_router.domain.afterwards import Later, News
from cashier_router.domain.commands import CreatePayment
from cashier_router.domain.dispute import DisputeNews, Told
from cashier_router.domain.instrument import Instrument, Method, Token, TokenScope
from cashier_router.domain.lifecycle import OperationEvent
from cashier_router.domain.payment import CaptureMethod, Payment, Terms
from cashier_router.domain.progress import Assessment, Outcome, RiskDecision, begin
from cashier_router.domain.routing import Account, Candidate, Decision
from cashier_router.domain.standing import DisputeState, Stage

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
USD_100 = Money(10_000, "USD")


def an_instrument(**changes) -> Instrument:
    card = Instrument(
        method=Method.CARD, fingerprint="fp-1", bin="424242", brand="visa", funding="credit",
        issuer_country="US", last4="4242",
        tokens=(Token(TokenScope.PROCESSOR_ACCOUNT, "sandbox-us", "tok_ok"),),
        chain="", wallet_address="",
    )  # fmt: skip
    return replace(card, **changes)


def a_command(**changes) -> CreatePayment:
    terms = Terms(
        instrument=changes.pop("instrument", None) or an_instrument(), customer_id="c-1",
        customer_country="US", customer_subdivision="", customer_tags=(), device_fingerprint="d-1",
        session_hash="", metadata={"cart": "7"}, statement_descriptor="", return_url="",
        jurisdiction="", merchant_category_code="", off_session=False,
    )  # fmt: skip
    command = CreatePayment(
        merchant="acme-games", key="key-0000-0000-0001", merchant_reference="order-1",
        amount=USD_100, capture_method=CaptureMethod.AUTOMATIC, terms=terms,
    )  # fmt: skip
    return replace(command, **changes)


def an_account(account_id: str = "sandbox-us", **changes) -> Account:
    account = Account(
        account_id=account_id, rail="gateway", processor="sandbox", enabled=True,
        merchants=frozenset(), methods=frozenset({Method.CARD}), assets=frozenset({"USD"}),
        countries=frozenset(), merchant_category_codes=frozenset(), card_brands=frozenset(),
        limits={}, fee_version="f1", fee_bps=290, fee_fixed={"USD": 30}, manual_capture=True,
        payout=True, vault_tokens=False, strict_controls=False,
    )  # fmt: skip
    return replace(account, **changes)


def a_plan(*accounts: str) -> Decision:
    return Decision(
        policy_version="test/1",
        candidates=tuple(Candidate(a, "gateway", "", "", 320, "USD") for a in accounts),
    )


def an_assessment(decision: RiskDecision = RiskDecision.FRICTIONLESS) -> Assessment:
    return Assessment("assessments/asm_1", decision, "AMOUNT_HIGH", "the amount is high", False)


def a_payment(*accounts: str, **changes) -> Payment:
    """A payment that was just promised to the first of these accounts."""
    plan = a_plan(*(accounts or ("sandbox-us",)))
    return begin(a_command(**changes), an_assessment(), plan, actor_trace="", at=AT)[0]


def disputed(minor=10_000, *, reference="dp_1", number=1, account="sandbox-us", **changes) -> Later:
    """A processor's word about a dispute, `after_s` seconds after the start."""
    at = AT + timedelta(seconds=changes.pop("after_s", 0))
    stage = changes.pop("stage", "chargeback")
    told = Told(
        at=at, stage=Stage(stage) if stage else None,
        state=DisputeState(changes.pop("state", "open")), minor=minor,
        asset=changes.pop("asset", "USD"), withdrawn=changes.pop("withdrawn", True),
        reason_code="10.4", heard_at=at, **changes,
    )  # fmt: skip
    news = DisputeNews(reference, account, number, told)
    return Later(News.DISPUTE, number, Outcome(OperationEvent.LOSE_TRACK), dispute=news)
