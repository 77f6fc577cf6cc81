"""Every deployable starts the same way: `serve`, `work` or `migrate`, and fails in sentences."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any, TypeAlias

import structlog
import typer
import uvloop

from cashier_common import failpoints
from cashier_common.errors import Refusal
from cashier_common.logs import configure_logging
from cashier_common.rpc.server import MeshServer, Readiness, Registration
from cashier_common.settings import ServiceSettings, SettingsRefused, load
from cashier_common.telemetry import configure_tracing
from cashier_common.worker import Worker, run_workers

PHASES = "`pre` stops before what the running code cannot live with; `post` applies everything."
COLLECT_AFTER_OBJECTS = 20_000  # new containers between two collections of the youngest
EXIT_REFUSED = 78  # EX_CONFIG of sysexits.h: a restart alone will not help
LOG = structlog.stdlib.get_logger("cashier.service")


class Role(StrEnum):
    SERVE = "serve"
    WORK = "work"


class Phase(StrEnum):
    PRE = "pre"
    POST = "post"


async def _nothing() -> None:
    """What an application without resources does when it stops."""


@dataclass(frozen=True)
class App:
    """What a service's composition root hands over: the parts that `serve` and `work` run.

    `limits` are the request fields with a limit of their own; `on_stop` closes what `build` opened.
    """

    domain: str
    services: Sequence[Registration] = ()
    workers: Sequence[Worker] = ()
    readiness: Readiness | None = None
    on_stop: Callable[[], Awaitable[None]] = _nothing
    limits: Mapping[str, int] = field(default_factory=dict)


Build: TypeAlias = Callable[[Any, Role], Awaitable[App]]


def cli(
    name: str, build: Build | None = None, *, settings: type[ServiceSettings] = ServiceSettings
) -> typer.Typer:
    """The command line of `python -m cashier_<name>`; `build(settings, role)` makes the app.

    By default that of `cashier_<name>.app`, which is imported by whoever needs it: `migrate` and
    `settings` do not, and the libraries of a rail take seconds.
    """
    commands = typer.Typer(
        name=f"cashier_{name}",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @commands.command()
    def serve() -> None:
        """Serve the gRPC API until SIGTERM."""
        _run(name, settings, build or _of_package(name), Role.SERVE)

    @commands.command()
    def work() -> None:
        """Run the background workers until SIGTERM."""
        _run(name, settings, build or _of_package(name), Role.WORK)

    @commands.command()
    def migrate(phase: Annotated[Phase, typer.Option(help=PHASES)] = Phase.POST) -> None:
        """Bring the service's database to this version's schema."""
        with sentences():
            loaded = load(settings)
            configure_logging(loaded, name)
            url = loaded.need("database_owner_url")
            # Alembic is a third of the time that a process takes to start; only this uses it.
            from cashier_common.db.migrate import run_migrations  # noqa: PLC0415

            asyncio.run(run_migrations(f"cashier_{name}", url, phase=phase.value))

    @commands.command("settings")
    def show_settings() -> None:
        """Print the table of settings."""
        typer.echo(settings.describe())

    return commands


def _of_package(name: str) -> Build:
    made: Build = import_module(f"cashier_{name}.app").build
    return made


async def run(app: App, settings: ServiceSettings, role: Role, stop: asyncio.Event) -> None:
    """Run one role of an application until `stop` is set, then let what is under way finish."""
    try:
        if role is Role.SERVE:
            await _serve(app, settings, stop)
        else:
            await run_workers(app.workers, stop)
    finally:
        await app.on_stop()


async def _serve(app: App, settings: ServiceSettings, stop: asyncio.Event) -> None:
    server = MeshServer(
        settings,
        domain=app.domain,
        services=app.services,
        readiness=app.readiness,
        limits=app.limits,
    )
    await server.start()
    await stop.wait()
    LOG.info("stopping")
    await server.stop()


def _run(name: str, kind: type[ServiceSettings], build: Build, role: Role) -> None:
    with sentences():
        settings = load(kind)
        configure_logging(settings, name)
        failpoints.configure(settings.failpoints, environment=settings.environment.value)
        provider = configure_tracing(settings, name)
        try:
            uvloop.run(_live(settings, build, role))
        finally:
            if provider is not None:
                provider.shutdown()


async def _live(settings: ServiceSettings, build: Build, role: Role) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = await build(settings, role)
    _spare_the_collector()
    await run(app, settings, role, stop)


def _spare_the_collector() -> None:
    """Keep what lives as long as the process out of every collection, and collect less often.

    A call makes hundreds of objects that die by reference count; walking the modules for them is
    a tenth of the time of a call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, 20, 20)


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """A start that is refused ends with a sentence per line instead of a stack."""
    try:
        yield
    except (SettingsRefused, failpoints.FailpointsRefused, Refusal) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(EXIT_REFUSED) from None
