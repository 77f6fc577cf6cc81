"""`python -m cashier_gateway returns import FILE`: an operator hands in a file of returns."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from cashier_common.db.engine import Database
from cashier_common.service import sentences
from cashier_common.settings import SettingsRefused, load
from cashier_gateway.settings import GatewaySettings

FILE_MAX_BYTES: Final = 9_600_000
commands = typer.Typer(no_args_is_help=True, help="Returns from the clearing house.")


@commands.callback()
def _group() -> None:
    """Returns from the clearing house."""


@commands.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A NACHA file of returns, as the bank sent it.")],
    account: Annotated[str, typer.Option(help="The processor account that it is of.")],
) -> None:
    """Put a file's returns and notifications of change into the inbox; twice changes nothing."""
    with sentences():
        lines, new = asyncio.run(_take(load(GatewaySettings), file, _content(file), account))
    typer.echo(f"{lines} returns and notifications in the file, {new} of them new")


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsRefused(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > FILE_MAX_BYTES:
        raise SettingsRefused(f"{file} has {len(content)} bytes, {FILE_MAX_BYTES} are read")
    return content


async def _take(
    settings: GatewaySettings, file: Path, content: bytes, account: str
) -> tuple[int, int]:
    # The adapters take seconds to import, and every command of this service reads this module.
    from cashier_gateway.app import open_bank  # noqa: PLC0415
    from cashier_gateway.flows.ach_ports import ReportRefused  # noqa: PLC0415
    from cashier_gateway.flows.exchange_files import source_of  # noqa: PLC0415

    database = await Database.connect(settings.need("database_url"), name="gateway returns")
    try:
        exchange, bank = await open_bank(settings, database, account)
        try:
            lines = bank.read_returns(content)
        except ReportRefused as refused:
            raise SettingsRefused(f"{file}: {refused}") from None
        new = await exchange.take(account, bank, lines, source=source_of(content))
    finally:
        await database.close()
    return len(lines), new
