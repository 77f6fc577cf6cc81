"""A processor account: one contract and credential set at a processor, and what it can do."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cashier_common.assets import is_known
from cashier_common.errors import AssetUnknown
from cashier_common.money import Money
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.errors import AccountNotEligible
from cashier_gateway.domain.outcome import Settlement
from cashier_gateway.domain.payer import INSTALLMENTS_MAX

# The most that a processor gets to answer one operation; the lease of a call outlasts it.
TIMEOUT_MAX_S = 20.0
BASIS_POINTS_MAX = 10_000
# What may be under way at one account by one process: what hangs must not take what others need.
CONCURRENCY_DEFAULT = 100
CONCURRENCY_MAX = 200  # connections to one account

AccountId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Minor = Annotated[int, Field(ge=0)]


class AccountState(StrEnum):
    """Whether the account takes new operations."""

    ENABLED = "ENABLED"
    DRAINING = "DRAINING"
    DISABLED = "DISABLED"


class Row(BaseModel):
    """A part of the accounts file: frozen, and without a field that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FeeSchedule(Row):
    """What the processor keeps: hundredths of a percent plus minor units per asset.

    `payout_fixed` is what one payout costs.
    """

    version: str = Field(min_length=1, max_length=64)
    percent_bps: int = Field(ge=0, le=BASIS_POINTS_MAX)
    fixed: dict[str, Minor] = {}
    payout_fixed: dict[str, Minor] = {}

    def fee(self, amount: Money) -> Money:
        """The expected fee on an amount, never above the amount itself."""
        share = amount.basis_points(self.percent_bps)
        return min(amount, share + Money(self.fixed.get(amount.asset, 0), amount.asset))


class Limit(Row):
    """Bounds of one operation in minor units; a `max` of 0 means none."""

    min: Minor = 0
    max: Minor = 0


class Capabilities(Row):
    """Operations that the account can do."""

    manual_capture: bool = True
    partial_capture: bool = False
    multiple_capture: bool = False
    refund: bool = False
    payout: bool = False
    look_up: bool = True


class AchTerms(Row):
    """What a bank gave us for files to the clearing house, and when one is due.

    `window_s`: an entry waits that long at the most; `entries_max`: so many fill a file at once.
    """

    odfi_routing: str = Field(pattern=r"^[0-9]{9}$")
    immediate_destination: str = Field(pattern=r"^[0-9]{9}$")
    destination_name: str = Field("", max_length=23)
    company_id: str = Field(pattern=r"^[ -~]{1,10}$")
    company_name: str = Field(pattern=r"^[ -~]{1,23}$")
    description: str = Field("PAYMENT", pattern=r"^[ -~]{1,10}$")
    entry_class: str = Field("WEB", pattern=r"^(WEB|PPD|CCD)$")
    window_s: int = Field(900, ge=0, le=86_400)
    entries_max: int = Field(5_000, ge=1, le=10_000)


# What cannot be done without each capability, as a refusal says it.
_LACKING: Final = {
    "manual_capture": "it cannot authorize without capturing",
    "partial_capture": "it cannot capture a part of an authorization",
    "multiple_capture": "it captures an authorization once: say that the capture is final",
    "refund": "it cannot refund",
    "payout": "it cannot pay out",
}


class ProcessorAccount(Row):
    """One account of the accounts file. `credential` is a reference, never the secret itself."""

    account_id: AccountId
    processor: str = Field(pattern=r"^[a-z0-9]{1,32}$")
    state: AccountState = AccountState.ENABLED
    base_url: str
    credential: str
    merchant_account: str = ""  # the processor's own name of the account, where it has one
    webhook_secrets: tuple[str, ...] = ()  # references; two while a secret is being changed
    timeout_s: float = Field(TIMEOUT_MAX_S / 2, gt=0, le=TIMEOUT_MAX_S)
    concurrency_max: int = Field(CONCURRENCY_DEFAULT, ge=1, le=CONCURRENCY_MAX)
    honours_idempotency_keys: bool
    refused_fields: frozenset[str] = frozenset()  # optional request fields that this server refuses
    merchants: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ("CARD",)
    assets: tuple[str, ...] = Field(min_length=1)
    countries: tuple[Country, ...] = ()
    licences: tuple[str, ...] = ()
    merchant_category_codes: tuple[str, ...] = ()
    limits: dict[str, Limit] = {}
    fees: FeeSchedule
    settlement_lag_days: int = Field(ge=0, le=90)
    card_brands: tuple[str, ...] = ()
    capabilities: Capabilities = Capabilities()
    ach: AchTerms | None = None
    vault_tokens_accepted: bool = False
    strict_controls: bool = False
    installments_max: int = Field(1, ge=1, le=INSTALLMENTS_MAX)  # 1: it takes none
    payer_required: bool = False  # name, e-mail and document; no other account is told

    @field_validator("assets")
    @classmethod
    def _are_known(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [code for code in codes if not is_known(code)]
        if unknown:
            raise ValueError(f"the asset registry does not have {', '.join(unknown)}")
        return codes

    @model_validator(mode="after")
    def _speak_of_its_assets(self) -> Self:
        named = {*self.limits, *self.fees.fixed, *self.fees.payout_fixed}
        stray = named - {*self.assets}
        if stray:
            raise ValueError(
                f"limits or fees name {', '.join(sorted(stray))}, not among its assets"
            )
        return self

    def check(self, *, merchant: str, method: str, amount: Money) -> None:
        """AccountNotEligible or AssetUnknown where an authorization or payout may not come here."""
        if self.state is not AccountState.ENABLED:
            self._refuse(f"it is {self.state}")
        if self.merchants and merchant not in self.merchants:
            self._refuse(f"it is not for merchant {merchant}")
        if method not in self.methods:
            self._refuse(f"it takes {', '.join(self.methods)} and not {method}")
        if not is_known(amount.asset):
            raise AssetUnknown(field="amount.asset_code", value=amount.asset)
        if amount.asset not in self.assets:
            self._refuse(f"it takes {', '.join(self.assets)} and not {amount.asset}")
        limit = self.limits.get(amount.asset)
        if limit and (amount.minor < limit.min or 0 < limit.max < amount.minor):
            most = limit.max or "any amount"
            self._refuse(f"{amount.minor} is not within {limit.min} and {most} minor units")

    def check_installments(self, installments: int) -> None:
        """AccountNotEligible where a payment may not be collected in so many parts here."""
        if installments > self.installments_max:
            most = self.installments_max
            self._refuse(f"it takes at most {most} installments and not {installments}")

    def check_open(self) -> None:
        """AccountNotEligible where not even what was begun here may be finished."""
        if self.state is AccountState.DISABLED:
            self._refuse(f"it is {self.state}")

    def need(self, capability: str) -> None:
        """AccountNotEligible where the account lacks a capability of that name."""
        if not getattr(self.capabilities, capability):
            self._refuse(_LACKING[capability])

    def settlement(self, kind: Kind, amount: Money, at: datetime) -> Settlement:
        """What a success at this moment should settle as; a refund costs nothing by itself."""
        fee = Money(0, amount.asset)
        if kind is Kind.PAYOUT:
            fee = Money(self.fees.payout_fixed.get(amount.asset, 0), amount.asset)
        elif kind is not Kind.REFUND:
            fee = self.fees.fee(amount)
        return Settlement(
            fee_schedule_version=self.fees.version,
            expected_fee=fee,
            due_at=at + timedelta(days=self.settlement_lag_days),
        )

    def _refuse(self, problem: str) -> None:
        raise AccountNotEligible(processor_account=self.account_id, problem=problem)
