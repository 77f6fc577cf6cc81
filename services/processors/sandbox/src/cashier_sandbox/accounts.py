"""The accounts file: which processor accounts exist, at which port, for which fees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cashier_sandbox.domain.account import Account
from cashier_sandbox.domain.fees import BASIS_POINTS, FeeSchedule
from cashier_sandbox.processors.imitation import IMITATIONS
from cashier_sandbox.settlement.formats import FORMATS

API_KEY_MIN_CHARS = 8
DEFAULT_FILE = Path(__file__).with_name("accounts.yaml")

Currency = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2,9}$")]
Minor = Annotated[int, Field(ge=0, strict=True)]


class AccountsInvalid(Exception):
    """The accounts file cannot be used; the message says where and why."""


class _Fees(BaseModel):
    model_config = ConfigDict(extra="forbid")

    percent_bps: Annotated[int, Field(ge=0, le=BASIS_POINTS, strict=True)] = 0
    fixed_minor: dict[Currency, Minor] = {}
    payout_fixed_minor: dict[Currency, Minor] = {}
    chargeback_fixed_minor: dict[Currency, Minor] = {}


class _Account(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    port: Annotated[int, Field(ge=0, le=65_535)]
    api_key: str
    currencies: Annotated[list[Currency], Field(min_length=1)]
    fees: _Fees = _Fees()
    settlement_format: str = "stripe_balance_transactions"
    imitates: str = "native"
    settles_every_s: Annotated[int, Field(ge=0, le=86_400, strict=True)] = 0

    @field_validator("imitates")
    @classmethod
    def _known_imitation(cls, value: str) -> str:
        if value not in IMITATIONS:
            raise ValueError(f"must be one of {', '.join(IMITATIONS)}")
        return value

    @field_validator("settlement_format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in FORMATS:
            raise ValueError(f"must be one of {', '.join(FORMATS)}")
        return value


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    accounts: Annotated[list[_Account], Field(min_length=1)]


def read_accounts(path: Path | None) -> list[Account]:
    """Return the accounts of a YAML file, or of the one that ships with the package."""
    source = path or DEFAULT_FILE
    try:
        file = _File.model_validate(yaml.safe_load(source.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise AccountsInvalid(f"the accounts file {source} cannot be read: {error}") from error
    except ValidationError as error:
        raise AccountsInvalid(_sentence(source, error)) from error
    _refuse_twice(source, "name", [row.name for row in file.accounts])
    _refuse_twice(source, "port", [str(row.port) for row in file.accounts if row.port])
    return [_account(source, row) for row in file.accounts]


def _account(source: Path, row: _Account) -> Account:
    return Account(
        name=row.name,
        port=row.port,
        api_key=_secret(source, row),
        currencies=frozenset(row.currencies),
        fees=FeeSchedule(
            percent_bps=row.fees.percent_bps,
            fixed_minor=row.fees.fixed_minor,
            payout_fixed_minor=row.fees.payout_fixed_minor,
            chargeback_fixed_minor=row.fees.chargeback_fixed_minor,
        ),
        settlement_format=row.settlement_format,
        imitates=row.imitates,
        settles_every_s=row.settles_every_s,
    )


def _secret(source: Path, row: _Account) -> str:
    """A sandbox key opens no money, so it may stand in the file as `test:<key>`."""
    scheme, _, value = row.api_key.partition(":")
    secret = ""
    if scheme == "env":
        secret = os.environ.get(value, "")
    elif scheme == "file":
        try:
            secret = Path(value).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise AccountsInvalid(
                f"{source}: api_key of account {row.name}: the file {value} cannot be read"
            ) from error
    elif scheme == "test":
        secret = value
    else:
        raise AccountsInvalid(
            f"{source}: api_key of account {row.name} must be env:<variable>, file:<path> "
            "or test:<key>"
        )
    if len(secret) < API_KEY_MIN_CHARS or not secret.isascii() or not secret.isprintable():
        raise AccountsInvalid(
            f"{source}: api_key of account {row.name} ({scheme}:…) must hold at least "
            f"{API_KEY_MIN_CHARS} printable ASCII characters"
        )
    return secret


def _refuse_twice(source: Path, field: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise AccountsInvalid(f"{source}: {field} {value} is given to two accounts")


def _sentence(source: Path, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{source}: {place or 'the file'}: {first['msg']}"
