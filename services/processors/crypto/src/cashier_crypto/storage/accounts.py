"""The accounts file: reads it and checks it."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

import yaml
from pydantic import TypeAdapter, ValidationError

from cashier_common.settings import SettingsRefused
from cashier_crypto.domain.account import AccountState, ProcessorAccount
from cashier_crypto.domain.xpub import DEVELOPMENT

DEVELOPMENT_FILE: Final = "chain/accounts.dev.yaml"
_ACCOUNTS: Final = TypeAdapter(tuple[ProcessorAccount, ...])


def load_accounts(
    path: Path | None, *, development: bool, has_chain: bool
) -> dict[str, ProcessorAccount]:
    """The accounts in the file by id, by default those of development, or SettingsRefused.

    Without a chain to read, each is DISABLED, so that no router sends anything here.
    """
    name = str(path or DEVELOPMENT_FILE)
    try:
        file = path or resources.files("cashier_crypto") / DEVELOPMENT_FILE
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsRefused(f"{name} cannot be read: {error}") from None
    if not isinstance(document, Mapping) or set(document) != {"accounts"}:
        raise SettingsRefused(f"{name} must hold one list named accounts")
    try:
        accounts = _ACCOUNTS.validate_python(document["accounts"])
    except ValidationError as error:
        raise SettingsRefused("\n".join(_sentences(name, error))) from None
    _check(name, accounts, development=development)
    if not has_chain:
        disabled = {"state": AccountState.DISABLED}
        accounts = tuple(account.model_copy(update=disabled) for account in accounts)
    return {account.account_id: account for account in accounts}


def _check(name: str, accounts: tuple[ProcessorAccount, ...], *, development: bool) -> None:
    if not accounts:
        raise SettingsRefused(f"{name} names no account")
    names = [account.account_id for account in accounts]
    twice = {account for account in names if names.count(account) > 1}
    if twice:
        raise SettingsRefused(f"{name} names {', '.join(sorted(twice))} twice")
    chains = {account.chain for account in accounts}
    if len(chains) > 1:
        raise SettingsRefused(
            f"{name} speaks of {', '.join(sorted(chains))}: one deployment serves one chain, so "
            "start another one for the others"
        )
    public = [account.account_id for account in accounts if account.deposit_xpub == DEVELOPMENT]
    if public and not development:
        raise SettingsRefused(
            f"deposit_xpub of {', '.join(public)} in {name} is the one of development, whose "
            "private keys everybody knows: use the extended public key that your custodian gives"
        )


def _sentences(name: str, error: ValidationError) -> list[str]:
    return [
        f"{name}: accounts[{'.'.join(str(part) for part in fault['loc'])}]: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)
    ]
