"""`python -m cashier_sandbox serve`: one process, all accounts."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import structlog
import typer
import uvloop
from pydantic import ValidationError

from cashier_sandbox.accounts import AccountsInvalid
from cashier_sandbox.app import App
from cashier_sandbox.http.listener import PortTaken
from cashier_sandbox.settings import Settings
from cashier_sandbox.storage.ledger_file import LedgerDamaged

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.callback()
def main() -> None:
    """The sandbox: an imitation payment processor for test mode."""


@cli.command()
def serve() -> None:
    """Serve every account and the control API until SIGTERM or Ctrl-C."""
    try:
        settings = Settings()
    except ValidationError as error:
        for row in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in row["loc"]).upper()
            typer.echo(f"CASHIER_SANDBOX_{name}: {row['msg']}", err=True)
        raise typer.Exit(2) from None
    _configure_logging(settings.log_level)
    try:
        uvloop.run(_serve(settings))
    except (AccountsInvalid, LedgerDamaged, PortTaken, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = App(settings)
    try:
        control_port = await app.start()
        log = structlog.get_logger()
        log.info("serving", control_port=control_port, accounts=app.ports, host=settings.host)
        await stop.wait()
        log.info("stopping")
    finally:
        await app.stop()


def _configure_logging(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


if __name__ == "__main__":
    cli()
