"""What applying a list of accounts changes: those that are new or differ, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cashier_gateway.domain.account import AccountState, ProcessorAccount

ADD: Final = "ADD"
CHANGE: Final = "CHANGE"
ABSENT: Final = "ABSENT"
"""The state before the first version."""
# What another value of these does to references that calls already hold: they would be asked for
# at somebody else's.
FIXED_FIELDS: Final = ("processor", "merchant_account")


@dataclass(frozen=True, slots=True)
class KeptAccount:
    """An account as it is kept; a newer program may have written a document we cannot read."""

    account_id: str
    version: int
    document: Mapping[str, Any]
    updated_by: str
    updated_at: datetime

    @property
    def state(self) -> str:
        """A name of AccountState."""
        return str(self.document["state"])


@dataclass(frozen=True, slots=True)
class Change:
    """One new version of an account; `fields` are the names of those that differ."""

    account_id: str
    version: int
    action: str
    before_state: str
    document: Mapping[str, Any]
    fields: tuple[str, ...]

    @property
    def state(self) -> str:
        """A name of AccountState."""
        return str(self.document["state"])


class AccountFixed(ValueError):
    """An account would become another one; the text is a sentence."""


def document_of(account: ProcessorAccount) -> dict[str, Any]:
    """Every field, defaults too, as JSON: the same account is always the same document."""
    document = account.model_dump(mode="json")
    for name, value in account:
        if isinstance(value, frozenset):
            document[name] = sorted(value)
    return document


def changes_of(
    wanted: Sequence[ProcessorAccount], kept: Sequence[KeptAccount], *, whole: bool
) -> list[Change]:
    """The changes that make the kept accounts those that are wanted, in the order of their ids.

    What is not wanted stays as it is, or is DISABLED where the list is `whole`: no account is ever
    deleted, because its calls go on to need it. AccountFixed where one would become another one.
    """
    there = {account.account_id: account for account in kept}
    named = {account.account_id for account in wanted}
    found = [_change(account.account_id, document_of(account), there) for account in wanted]
    if whole:
        found += [
            _change(name, {**account.document, "state": AccountState.DISABLED.value}, there)
            for name, account in there.items()
            if name not in named
        ]
    return sorted((change for change in found if change), key=lambda change: change.account_id)


def _change(
    account_id: str, document: Mapping[str, Any], there: Mapping[str, KeptAccount]
) -> Change | None:
    before = there.get(account_id)
    if before is None:
        return Change(account_id, 1, ADD, ABSENT, document, tuple(sorted(document)))
    fields = tuple(_differing(before.document, document))
    if not fields:
        return None
    for name in FIXED_FIELDS:
        if name in fields:
            raise AccountFixed(
                f"account {account_id} has the {name} {before.document.get(name)!r}: it cannot "
                f"become {document.get(name)!r}, because its calls are there; give the new one an "
                "id of its own and let this one be DRAINING"
            )
    return Change(account_id, before.version + 1, CHANGE, before.state, document, fields)


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if name not in before or name not in after or before[name] != after[name]:
            yield name
