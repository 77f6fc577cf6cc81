"""The commands `up`, `demo`, `down` and `status` of the mesh."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cashier_mesh.config import BASE_PORT, PROJECT_DIR, MeshConfig
from cashier_mesh.demo.play import CALLERS, Options
from cashier_mesh.demo.session import Session, run
from cashier_mesh.display import Stream
from cashier_mesh.errors import MeshError
from cashier_mesh.residence import Residence
from cashier_mesh.supervisor import Mesh

DATA_DIR = PROJECT_DIR / ".cashier"
CHECK_PERIOD_S = 0.5
INTERRUPTED = 130  # as shells say it
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminal(Console):
    """A console whose reader may leave (`up | head`) while the mesh goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(help="Runs all of Cashier on one machine.", no_args_is_help=True)
console = Terminal(highlight=False)
FILE_WIDTH = 120  # columns of a table where no terminal says how many there are
DataDir = Annotated[Path, typer.Option(help="Where databases, certificates and logs are kept.")]


@app.command()
def up(
    data_dir: DataDir = DATA_DIR,
    base_port: Annotated[
        int, typer.Option(envvar="CASHIER_MESH_BASE_PORT", help="First port; 0 picks free ones.")
    ] = BASE_PORT,
    replicas: Annotated[
        list[str] | None, typer.Option(help="`router=2`: servers and workers; may be repeated.")
    ] = None,
    services: Annotated[
        str, typer.Option(help="Only these services, with commas between them.")
    ] = ",".join(MeshConfig.services),
    *,
    sandbox: Annotated[bool, typer.Option(help="The imitation processors.")] = True,
    chain: Annotated[bool, typer.Option(help="A local EVM chain.")] = True,
    localstripe: Annotated[bool, typer.Option(help="A Stripe that Cashier did not write.")] = True,
    restart: Annotated[bool, typer.Option(help="Start crashed processes again.")] = True,
    traces: Annotated[bool, typer.Option(help="Write every span to a file.")] = False,
    quiet: Annotated[bool, typer.Option(help="Do not show the logs.")] = False,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    with _said_plainly():
        config = MeshConfig(
            data_dir=data_dir.absolute(),
            base_port=base_port,
            replicas=dict(_replica(word) for word in replicas or []),
            services=tuple(filter(None, services.split(","))),
            sandbox=sandbox,
            chain=chain,
            localstripe=localstripe,
            restart_crashed=restart,
            traces=traces,
        )
        mesh = Mesh(config, tell=_tell)
        stopped = _stop_on_signals(mesh.cancel)
        stream = Stream(mesh.logs, console)
        mesh.start()
        try:
            _welcome(mesh)
            if not quiet:
                stream.begin()
            while not stopped.wait(CHECK_PERIOD_S):
                pass
        finally:
            _tell("stopping")
            mesh.stop()
            stream.end()  # last, so that the services' last words are shown
    _tell("stopped")


@app.command()
def demo(
    data_dir: DataDir = DATA_DIR,
    base_port: Annotated[
        int,
        typer.Option(
            envvar="CASHIER_MESH_BASE_PORT",
            help="First port; 0 picks free ones, as does the default where it is taken.",
        ),
    ] = BASE_PORT,
    file: Annotated[
        Path | None, typer.Option(help="Another table of payments, with the same columns.")
    ] = None,
    payments: Annotated[
        int | None, typer.Option(min=1, help="About so many rows, some of every sort.")
    ] = None,
    callers: Annotated[int, typer.Option(min=1, max=256, help="Calls at once.")] = CALLERS,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the mesh running.")] = False,
    only_check: Annotated[
        bool, typer.Option("--only-check", help="Pay nothing; compare books and processors.")
    ] = False,
    chain: Annotated[bool, typer.Option(help="A local EVM chain.")] = True,
    localstripe: Annotated[bool, typer.Option(help="A Stripe that Cashier did not write.")] = True,
) -> None:
    """Run payments through everything; exit code 0 only if the books agree with the processors."""
    session = Session(
        data_dir=data_dir.absolute(),
        base_port=base_port,
        keep=keep,
        only_check=only_check,
        chain=chain,
        localstripe=localstripe,
        options=Options(file=file, payments=payments, callers=callers),
    )
    if not console.is_terminal:
        console.width = FILE_WIDTH
    with _said_plainly():
        try:
            agreed = run(session, console, _tell)
        except KeyboardInterrupt:
            _tell("interrupted; everything is stopped")
            raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(0 if agreed else 1)


@app.command()
def down(data_dir: DataDir = DATA_DIR) -> None:
    """Stop the mesh that uses this data folder."""
    with _said_plainly():
        found = Residence(data_dir.absolute()).ask_to_leave()
    _tell("stopped" if found else f"no mesh uses {data_dir}")


@app.command()
def status(data_dir: DataDir = DATA_DIR) -> None:
    """Say whether a mesh uses this data folder, and where it listens; exit code 1 if none does."""
    facts = Residence(data_dir.absolute()).occupant()
    if not facts:
        _tell(f"no mesh uses {data_dir}")
        raise typer.Exit(1)
    _tell(f"running (process {facts.get('pid')})")
    for name, address in {**facts.get("targets", {}), **facts.get("peers", {})}.items():
        console.print(f"  {name:<12} {address}")


class _said_plainly:  # noqa: N801 - reads as a sentence where it is used
    """Turn the mesh's own errors into one message and exit code 1."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, MeshError):
            Console(stderr=True, highlight=False).print(
                f"[red]mesh:[/] {escape(str(error))}", soft_wrap=True
            )
            sys.exit(1)


def _stop_on_signals(cancel: Callable[[], None]) -> threading.Event:
    stopped = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        cancel()

    for number in SIGNALS:
        signal.signal(number, on_signal)
    return stopped


def _replica(word: str) -> tuple[str, int]:
    name, _, count = word.partition("=")
    if not count.isdigit():
        raise MeshError(
            f"--replicas {word!r} cannot be read: write a service and a number, router=2"
        )
    return name, int(count)


def _welcome(mesh: Mesh) -> None:
    _tell("ready; Ctrl-C stops everything")
    for name, address in {**mesh.targets, **mesh.peer_urls}.items():
        console.print(f"  {name:<12} {address}")
    operator = mesh.credentials("operator")
    console.print(f"  logs         {mesh.logs}\n\n  Try:", soft_wrap=True)
    console.print(
        f"  grpcurl -cacert {operator.authority} -cert {operator.certificate} "
        f"-key {operator.private_key} {next(iter(mesh.targets.values()), '')} list\n",
        soft_wrap=True,
    )


def _tell(sentence: str) -> None:
    console.print(f"[bold]mesh[/]          │ {escape(sentence)}", soft_wrap=True)


if __name__ == "__main__":
    app()
