"""The accounts file: reads it, checks it, and finds the secrets that it refers to."""

import os
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml
from pydantic import TypeAdapter, ValidationError

from cashier_common.settings import SettingsRefused
from cashier_gateway.domain.account import ProcessorAccount

DEVELOPMENT_FILE: Final = "accounts.dev.yaml"
# Before a key that opens no money and may therefore stand in the file itself.
TEST_PREFIX: Final = "test:"
_REFERENCES: Final = ("env:", "file:")
_ACCOUNTS: Final = TypeAdapter(tuple[ProcessorAccount, ...])


def load_accounts(path: Path | None) -> tuple[ProcessorAccount, ...]:
    """The accounts in the file, by default those of development; SettingsRefused says why not."""
    name = str(path or DEVELOPMENT_FILE)
    try:
        text = (
            path.read_text(encoding="utf-8")
            if path
            else (resources.files("cashier_gateway") / DEVELOPMENT_FILE).read_text(encoding="utf-8")
        )
        document = yaml.safe_load(text)
    except (OSError, yaml.YAMLError) as error:
        raise SettingsRefused(f"{name} cannot be read: {error}") from None
    if not isinstance(document, Mapping) or set(document) != {"accounts"}:
        raise SettingsRefused(f"{name} must hold one list named accounts")
    try:
        accounts = _ACCOUNTS.validate_python(document["accounts"])
    except ValidationError as error:
        raise SettingsRefused("\n".join(_sentences(name, error))) from None
    names = [account.account_id for account in accounts]
    twice = {account for account in names if names.count(account) > 1}
    if twice:
        raise SettingsRefused(f"{name} names {', '.join(sorted(twice))} twice")
    return accounts


def resolve(reference: str, *, of: str) -> str:
    """What `env:NAME`, `file:/path` or plain text stand for; `a|b` means b where a is not set.

    The value is never part of an error.
    """
    for part in reference.split("|"):
        kind, _, rest = part.partition(":")
        if kind == "env":
            value = os.environ.get(rest, "")
        elif kind == "file":
            value = _content(Path(rest), of)
        else:
            value = part.removeprefix(TEST_PREFIX)
        if value:
            return value
    raise SettingsRefused(f"{of} is {reference}, and that names nothing: set the variable or file")


def resolve_credential(account: ProcessorAccount, *, development: bool) -> str:
    """The secret of an account; plain text is refused, but for test keys in development."""
    return _secret(
        account.credential, of=f"credential of {account.account_id}", development=development
    )


def resolve_webhook_secrets(account: ProcessorAccount, *, development: bool) -> tuple[str, ...]:
    """The secrets that the account's webhooks are signed with, under the same rules."""
    of = f"webhook_secrets of {account.account_id}"
    return tuple(_secret(one, of=of, development=development) for one in account.webhook_secrets)


def check_account(
    account: ProcessorAccount, adapters: Collection[str], *, development: bool
) -> None:
    """SettingsRefused without an adapter, or where a secret stands in place of a reference."""
    if account.processor not in adapters:
        raise SettingsRefused(
            f"account {account.account_id} is at {account.processor}: there are adapters for "
            f"{', '.join(adapters)}"
        )
    for part in account.base_url.split("|"):
        if not part.startswith(_REFERENCES) and "@" in urlsplit(part).netloc:
            raise SettingsRefused(
                f"base_url of {account.account_id} holds a user or password: put them into "
                "credential, as env:NAME or file:/path"
            )
    for name, references in (
        ("credential", (account.credential,)),
        ("webhook_secrets", account.webhook_secrets),
    ):
        for reference in references:
            _check(reference, of=f"{name} of {account.account_id}", development=development)


def _secret(reference: str, *, of: str, development: bool) -> str:
    _check(reference, of=of, development=development)
    return resolve(reference, of=of)


def _check(reference: str, *, of: str, development: bool) -> None:
    for part in reference.split("|"):
        is_reference = part.startswith(_REFERENCES)
        if not is_reference and not (development and part.startswith(TEST_PREFIX)):
            raise SettingsRefused(
                f"{of} holds a plain value: refer to it as env:NAME or file:/path "
                "(test:… may stand in the file in development only)"
            )


def _content(path: Path, of: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsRefused(
            f"{of} is in {path}, which cannot be read: {error.strerror}"
        ) from None


def _sentences(name: str, error: ValidationError) -> list[str]:
    return [
        f"{name}: accounts[{'.'.join(str(part) for part in fault['loc'])}]: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)
    ]
