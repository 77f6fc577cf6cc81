"""Which processor accounts may take a payment, and in what order: a pure function of facts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cashier_common.money import Money
from cashier_common.regions import region_of
from cashier_router.domain.health import Picture
from cashier_router.domain.instrument import Instrument, Method
from cashier_router.domain.ordering import BREAKER_OPEN, arrange

CERTAIN_PPM = 1_000_000
# What is paid with a token: of a card, or of a bank account. The others bring their own payer.
BY_TOKEN = frozenset({Method.CARD, Method.ACH, Method.RTP})
# Money is sent over these and never asked for: nobody's account can be debited.
CREDITS_ONLY = frozenset({Method.RTP})
POLICY_VERSION = "eligible-then-well-then-cheapest/3"


@dataclass(frozen=True, slots=True)
class Account:
    """A processor account as its rail describes it."""

    account_id: str
    rail: str
    processor: str
    enabled: bool
    merchants: frozenset[str]
    methods: frozenset[Method]
    assets: frozenset[str]
    countries: frozenset[str]
    merchant_category_codes: frozenset[str]
    card_brands: frozenset[str]
    limits: dict[str, tuple[int, int]]  # asset → smallest and largest amount; 0 means no largest
    fee_version: str
    fee_bps: int
    fee_fixed: dict[str, int]
    manual_capture: bool
    payout: bool
    vault_tokens: bool
    strict_controls: bool
    max_installments: int = 1

    def expected_fee(self, amount: Money) -> Money:
        """What this account would charge for `amount`."""
        return amount.basis_points(self.fee_bps) + Money(
            self.fee_fixed.get(amount.asset, 0), amount.asset
        )


@dataclass(frozen=True, slots=True)
class Question:
    """The facts of a payment that routing looks at."""

    merchant: str
    amount: Money
    instrument: Instrument
    customer_country: str
    merchant_category_code: str
    manual_capture: bool
    payout: bool
    strict_only: bool
    payment: str = ""  # its name: what is drawn for it is drawn by that
    residence: str = ""  # the customer's country as the rail is told it
    installments: int = 1

    @property
    def segment(self) -> str:
        """The part of an account's traffic that this payment belongs to, as rails name it."""
        method = self.instrument.method.upper()
        return f"{method}/{self.amount.asset}/{region_of(self.residence)}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One account that was looked at; `removed_by` is empty when it is in the plan."""

    account: str
    rail: str
    removed_by: str
    detail: str
    fee_minor: int
    asset: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a payment goes where it goes; stored with it."""

    policy_version: str
    candidates: tuple[Candidate, ...] = field(default=())
    propensity_ppm: int = CERTAIN_PPM
    strict_only: bool = False  # risk asked for accounts with stricter controls

    @property
    def plan(self) -> tuple[Candidate, ...]:
        """Accounts to try, in order."""
        return tuple(candidate for candidate in self.candidates if not candidate.removed_by)


def decide(
    question: Question, accounts: Sequence[Account], health: Mapping[str, Picture] | None = None
) -> Decision:
    """Every account judged; eligible ones first, in the order of `ordering`, ids break ties.

    `health` is the picture of each rail. The same question and pictures lead to the same decision.
    """
    kept: list[Candidate] = []
    removed: list[Candidate] = []
    for account in accounts:
        reason, detail = objection(question, account)
        fee = account.expected_fee(question.amount).minor
        candidate = Candidate(
            account=account.account_id, rail=account.rail, removed_by=reason, detail=detail,
            fee_minor=fee, asset=question.amount.asset,
        )  # fmt: skip
        (removed if reason else kept).append(candidate)
    kept.sort(key=lambda candidate: (candidate.fee_minor, candidate.account))
    removed.sort(key=lambda candidate: candidate.account)
    if not kept:
        return Decision(POLICY_VERSION, tuple(removed), strict_only=question.strict_only)
    order = arrange(kept, question.segment, health or {}, question.payment)
    told = [
        replace(one, detail=place.detail) for one, place in zip(kept, order.places, strict=True)
    ]
    held = [replace(told[i], removed_by=BREAKER_OPEN) for i in order.held]
    return Decision(
        policy_version=POLICY_VERSION,
        candidates=(*(told[i] for i in order.kept), *held, *removed),
        propensity_ppm=order.propensity_ppm,
        strict_only=question.strict_only,
    )


def objection(question: Question, account: Account) -> tuple[str, str]:
    """The first rule that keeps this account from taking the payment, with a sentence."""
    for broken, reason, detail in _rules(question, account):
        if broken:
            return reason, detail
    return "", ""


def _rules(question: Question, account: Account) -> Iterator[tuple[bool, str, str]]:
    """Every rule of eligibility: whether it is broken, its name, and why it matters."""
    instrument, amount = question.instrument, question.amount
    country, category = question.customer_country, question.merchant_category_code
    smallest, largest = account.limits.get(amount.asset, (0, 0))
    categories, brands = account.merchant_category_codes, account.card_brands
    yield not account.enabled, "ACCOUNT_DISABLED", "the account takes no new payments"
    yield (
        bool(account.merchants) and question.merchant not in account.merchants,
        "MERCHANT", f"the account is not contracted for {question.merchant}",
    )  # fmt: skip
    yield (
        instrument.method not in account.methods,
        "METHOD", f"the account does not take {instrument.method}",
    )  # fmt: skip
    yield (
        instrument.method in CREDITS_ONLY and not question.payout,
        "CREDITS_ONLY", f"{instrument.method} sends money and takes none",
    )  # fmt: skip
    yield amount.asset not in account.assets, "ASSET", f"the account does not take {amount.asset}"
    yield (
        bool(account.countries) and country not in account.countries,
        "COUNTRY", f"the account does not serve {country or 'an unknown country'}",
    )  # fmt: skip
    yield (
        bool(categories) and category not in categories,
        "MERCHANT_CATEGORY", "the account is not contracted for this merchant category",
    )  # fmt: skip
    yield (
        amount.minor < smallest or 0 < largest < amount.minor,
        "AMOUNT_LIMIT", f"the account takes {smallest} to {largest or 'any'} minor units",
    )  # fmt: skip
    yield (
        bool(instrument.brand and brands) and instrument.brand not in brands,
        "CARD_BRAND", f"the account does not take {instrument.brand}",
    )  # fmt: skip
    yield (
        question.manual_capture and not account.manual_capture,
        "MANUAL_CAPTURE", "the account cannot authorize without capture",
    )  # fmt: skip
    yield (
        question.installments > account.max_installments,
        "INSTALLMENTS", f"the account takes at most {account.max_installments} installments",
    )  # fmt: skip
    yield question.payout and not account.payout, "PAYOUT", "the account does not pay out"
    yield (
        question.strict_only and not account.strict_controls,
        "STRICT_CONTROLS", "risk asked for an account with stricter controls",
    )  # fmt: skip
    token = instrument.token_at(account.account_id, vault_accepted=account.vault_tokens)
    yield (
        instrument.method in BY_TOKEN and token is None,
        "NO_TOKEN", "the instrument has no token that this account understands",
    )  # fmt: skip
