"""A processor account of this rail: one chain, its tokens, and how deep a deposit must lie."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cashier_common.assets import asset, is_known
from cashier_common.errors import AssetUnknown
from cashier_common.money import Money
from cashier_crypto.domain.address import canonical
from cashier_crypto.domain.errors import AccountNotEligible
from cashier_crypto.domain.outcome import Settlement
from cashier_crypto.domain.xpub import ExtendedKey

METHOD: Final = "STABLECOIN"
PROCESSOR: Final = "evm"

Minor = Annotated[int, Field(ge=0)]


class AccountState(StrEnum):
    """Whether the account takes new operations."""

    ENABLED = "ENABLED"
    DRAINING = "DRAINING"
    DISABLED = "DISABLED"


class Row(BaseModel):
    """A part of the accounts file: frozen, and without a field that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Token(Row):
    """A token that counts as an asset, known by its contract and by nothing else."""

    asset: str
    contract: str
    decimals: int = Field(ge=0, le=36)

    @field_validator("asset")
    @classmethod
    def _is_known(cls, code: str) -> str:
        if not is_known(code):
            raise ValueError(f"the asset registry does not have {code}")
        return code

    @field_validator("contract")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        return canonical(text)

    @model_validator(mode="after")
    def _counts_finely_enough(self) -> Self:
        if self.decimals < asset(self.asset).exponent:
            raise ValueError(f"a minor unit of {self.asset} is smaller than a unit of this token")
        return self

    def minor(self, units: int) -> tuple[int, int]:
        """Whole minor units in so many units of the token, and the units that are left over."""
        scale: int = 10 ** (self.decimals - asset(self.asset).exponent)
        return divmod(units, scale)


class Limit(Row):
    """Bounds of one operation in minor units; a `max` of 0 means none."""

    min: Minor = 0
    max: Minor = 0


class ProcessorAccount(Row):
    """One account of the accounts file; chains take no fee from whom they pay."""

    account_id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")
    state: AccountState = AccountState.ENABLED
    chain: str = Field(pattern=r"^eip155:[1-9][0-9]{0,18}$")
    start_block: int = Field(ge=0)  # no address of ours was paid before it
    required_confirmations: int = Field(ge=1, le=10_000)
    deposit_lifetime_s: int = Field(ge=60, le=30 * 86_400)
    deposit_xpub: str
    tokens: tuple[Token, ...] = Field(min_length=1)
    merchants: frozenset[str] = frozenset()
    countries: tuple[str, ...] = ()
    limits: dict[str, Limit] = {}
    fee_version: str = Field(min_length=1, max_length=64)
    settlement_lag_days: int = Field(ge=0, le=90)
    strict_controls: bool = False

    @field_validator("deposit_xpub")
    @classmethod
    def _is_a_key(cls, text: str) -> str:
        ExtendedKey.parse(text)
        return text

    @model_validator(mode="after")
    def _speaks_of_each_asset_once(self) -> Self:
        assets = [token.asset for token in self.tokens]
        if len({*assets}) != len(assets):
            raise ValueError("two tokens stand for one asset: an account has one contract for each")
        stray = {*self.limits} - {*assets}
        if stray:
            raise ValueError(f"limits name {', '.join(sorted(stray))}, not among its assets")
        return self

    @property
    def assets(self) -> tuple[str, ...]:
        return tuple(token.asset for token in self.tokens)

    def token(self, code: str) -> Token:
        """The token of an asset; AccountNotEligible where there is none."""
        found = next((token for token in self.tokens if token.asset == code), None)
        if found is None:
            self._refuse(f"it takes {', '.join(self.assets)} and not {code}")
        return found

    def check(self, *, merchant: str, method: str, amount: Money, chain: str) -> None:
        """AccountNotEligible or AssetUnknown where a new deposit may not come here."""
        if self.state is not AccountState.ENABLED:
            self._refuse(f"it is {self.state}")
        if self.merchants and merchant not in self.merchants:
            self._refuse(f"it is not for merchant {merchant}")
        if method != METHOD:
            self._refuse(f"it takes {METHOD} and not {method}")
        if chain and chain != self.chain:
            self._refuse(f"it is on {self.chain} and not on {chain}")
        if not is_known(amount.asset):
            raise AssetUnknown(field="amount.asset_code", value=amount.asset)
        self.token(amount.asset)
        limit = self.limits.get(amount.asset)
        if limit and (amount.minor < limit.min or 0 < limit.max < amount.minor):
            most = limit.max or "any amount"
            self._refuse(f"{amount.minor} is not within {limit.min} and {most} minor units")

    def settlement(self, amount: Money, at: datetime) -> Settlement:
        """What a deposit that is credited now should settle as: no fee, at the custodian's."""
        return Settlement(
            fee_schedule_version=self.fee_version,
            expected_fee=Money(0, amount.asset),
            due_at=at + timedelta(days=self.settlement_lag_days),
        )

    def _refuse(self, problem: str) -> NoReturn:
        raise AccountNotEligible(processor_account=self.account_id, problem=problem)
