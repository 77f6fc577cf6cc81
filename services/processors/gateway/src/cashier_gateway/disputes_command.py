"""`python -m cashier_gateway disputes import`: disputes that a processor tells in a file."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
import typer

from cashier_common.db.engine import Database
from cashier_common.service import sentences
from cashier_common.settings import SettingsRefused, load
from cashier_gateway.clients.dispute_files.read import read_disputes
from cashier_gateway.clients.dispute_files.table import FILE_MAX_BYTES, FileRefused
from cashier_gateway.domain.notice import Notice
from cashier_gateway.settings import GatewaySettings
from cashier_gateway.storage.account_registry import AccountRegistry
from cashier_gateway.storage.filed import file_notices

commands = typer.Typer(no_args_is_help=True, help="Take what processors tell of disputes in files.")
_log = structlog.get_logger(__name__)


@commands.callback()
def disputes() -> None:
    """Take what processors tell of disputes in files."""


@commands.command("import")
def take(
    file: Annotated[
        Path, typer.Argument(help="Stripe's disputes, or J.P. Morgan's DisputeDetails.")
    ],
    account: Annotated[str, typer.Option(help="Processor account that the file is about.")],
    told_at: Annotated[
        str, typer.Option(help="When it was exported (RFC 3339), where the file does not say.")
    ] = "",
) -> None:
    """Put every row into the inbox, or none; the same file twice changes nothing."""
    with sentences():
        content = _content(file)
        try:
            notices = read_disputes(content, told_at=_moment(told_at))
        except FileRefused as refused:
            raise SettingsRefused(f"{file.name}: {refused}; nothing was imported") from None
        fresh = asyncio.run(_put(load(GatewaySettings), account, notices, content))
    typer.echo(f"{len(notices)} disputes told by {file.name}, {fresh} of them new at {account}")


async def _put(
    settings: GatewaySettings, account: str, notices: Sequence[Notice], content: bytes
) -> int:
    database = await Database.connect(settings.need("database_url"), name="gateway disputes")
    try:
        known = {kept.account_id for kept in await AccountRegistry(database).all()}
        if account not in known:
            raise SettingsRefused(
                f"--account {account[:64]} is no processor account: there are "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        fresh = await file_notices(database, account, notices, content)
    finally:
        await database.close()
    _log.info("disputes_imported", account=account, told=len(notices), fresh=fresh)
    return fresh


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_MAX_BYTES + 1)
    except OSError as problem:
        raise SettingsRefused(f"{file.name} cannot be read: {problem.strerror}") from None
    return content


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsRefused("--told-at must be a time like 2026-11-22T18:00:00Z") from None
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
