"""`python -m cashier_gateway accounts …`: how people read and change the processor accounts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, TypeVar

import orjson
import typer

from cashier_common.db.engine import Database
from cashier_common.redact import holds_card_number
from cashier_common.service import sentences
from cashier_common.settings import Environment, SettingsRefused, load
from cashier_gateway.domain.account_change import Change, KeptAccount
from cashier_gateway.flows.apply_accounts import Applied, apply_accounts
from cashier_gateway.flows.ports import Origin
from cashier_gateway.settings import GatewaySettings
from cashier_gateway.storage.account_registry import AccountRegistry
from cashier_gateway.storage.accounts import check_account, load_accounts

OPERATOR_PREFIX: Final = "operator/"
TEXT_MAX_CHARS: Final = 256
"""Of an operator's name and reason, which every copy of the record carries."""
HEAD: Final = ("ACCOUNT", "STATE", "VERSION", "PROCESSOR", "FEES", "ASSETS", "UPDATED", "BY")

Result = TypeVar("Result")
commands = typer.Typer(no_args_is_help=True, help="Read and change the processor accounts.")


@commands.command()
def apply(
    file: Annotated[Path, typer.Argument(help="YAML with one list named accounts.")],
    operator: Annotated[str, typer.Option(help="Who answers for it; it stands in the record.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the record.")],
    *,
    whole: Annotated[
        bool, typer.Option("--whole", help="The file names all: the others become DISABLED.")
    ] = False,
) -> None:
    """Make the accounts those of a file: all of it or nothing; running processes take it up."""
    with sentences():
        # The adapters take seconds to import, and every command of this service reads this module.
        from cashier_gateway.app import ADAPTERS  # noqa: PLC0415

        settings = load(GatewaySettings)
        wanted = load_accounts(file)
        for account in wanted:
            check_account(
                account, ADAPTERS, development=settings.environment is Environment.DEVELOPMENT
            )
        origin = Origin(OPERATOR_PREFIX + said("operator", operator), traceparent="")
        why = said("reason", reason)
        applied = _run(
            settings, lambda book: apply_accounts(wanted, book, origin, reason=why, whole=whole)
        )
    for line in _told(applied, len(wanted)):
        typer.echo(line)


@commands.command("list")
def show(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Whole documents, for programs.")] = False,
) -> None:
    """List the accounts as they are now."""
    with sentences():
        kept = _run(load(GatewaySettings), AccountRegistry.all)
    if as_json:
        typer.echo(orjson.dumps([_facts(one) for one in kept], option=orjson.OPT_INDENT_2))
    else:
        for line in _table([HEAD, *(_row(account) for account in kept)]):
            typer.echo(line)


def _run(settings: GatewaySettings, work: Callable[[AccountRegistry], Awaitable[Result]]) -> Result:
    async def on_the_database() -> Result:
        database = await Database.connect(settings.need("database_url"), name="gateway accounts")
        try:
            return await work(AccountRegistry(database))
        finally:
            await database.close()

    return asyncio.run(on_the_database())


def said(option: str, value: str) -> str:
    """An operator's word for the record; SettingsRefused."""
    text = value.strip()
    if not text or not text.isprintable() or len(text) > TEXT_MAX_CHARS:
        raise SettingsRefused(
            f"--{option} must be 1 to {TEXT_MAX_CHARS} printable characters for the record"
        )
    if holds_card_number(text):
        raise SettingsRefused(f"--{option} holds what looks like a card number: leave it out")
    return text


def _told(applied: Applied, wanted: int) -> list[str]:
    lines = [_change(change) for change in applied.changes]
    if not lines:
        lines = [f"nothing changes: all {wanted} accounts are as in the file"]
    if applied.left:
        lines.append(f"not in the file, and left as they are: {', '.join(applied.left)}")
    return lines


def _change(change: Change) -> str:
    if change.version == 1:
        return f"added {change.account_id}, {change.state}"
    fields = ", ".join(change.fields)
    return f"changed {change.account_id} to version {change.version}, {change.state}: {fields}"


def _row(kept: KeptAccount) -> tuple[str, ...]:
    document = kept.document
    return (
        kept.account_id, kept.state, str(kept.version), str(document.get("processor", "")),
        str(document.get("fees", {}).get("version", "")), ",".join(document.get("assets", ())),
        kept.updated_at.strftime("%Y-%m-%d %H:%M:%SZ"), kept.updated_by,
    )  # fmt: skip


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _facts(kept: KeptAccount) -> dict[str, object]:
    return {
        "version": kept.version,
        "updated_at": kept.updated_at.isoformat(),
        "updated_by": kept.updated_by,
        **kept.document,
    }
