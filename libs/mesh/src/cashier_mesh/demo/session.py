"""Gives a run a mesh: the one that is there, or its own, on other ports if need be."""

import asyncio
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import grpc.aio
import httpx
from rich.console import Console

from cashier_mesh.config import BASE_PORT, MeshConfig
from cashier_mesh.demo.ground import Ground, occupied
from cashier_mesh.demo.play import Options, check, play
from cashier_mesh.errors import MeshError, PortTaken
from cashier_mesh.ports import require_free
from cashier_mesh.supervisor import Mesh

# A person does not wait for the first questions of production's schedule (5 and 30 s); what comes
# after them is the same.
DOUBT_SCHEDULE_S = "1,4,10,30,120,600,3600,21600,86400"
KEEP_CHECK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What to run where. `only_check` pays nothing; `keep` leaves the mesh running afterwards."""

    data_dir: Path
    base_port: int
    keep: bool
    only_check: bool
    chain: bool
    localstripe: bool
    options: Options


def run(session: Session, console: Console, tell: Callable[[str], None]) -> bool:
    """Run the demo; whether the books agree. MeshError when something cannot start.

    An interrupt (Ctrl-C) stops what was started and is raised again.
    """
    _interrupt_on(signal.default_int_handler)
    there = occupied(session.data_dir)
    if there is not None:
        tell(f"a mesh runs in {session.data_dir} already: this run uses it and leaves it running")
        return _run(there, replace(session, keep=True), console)
    mesh = Mesh(_config(session, tell), tell=tell)
    tell("starting databases, processors and services")
    _start(mesh)
    try:
        ground = Ground(session.data_dir, mesh.targets, mesh.peer_urls)
        agreed = _run(ground, session, console)
        if session.keep:
            tell("the mesh stays until Ctrl-C")
            _wait(mesh)
        tell("stopping")
    finally:
        mesh.stop()
    return agreed


def _start(mesh: Mesh) -> None:
    """Start it; an interrupt makes the start give up at a place where it can."""
    interrupted = threading.Event()

    def give_up(_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        mesh.cancel()

    _interrupt_on(give_up)
    try:
        mesh.start()
    except MeshError:
        if interrupted.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        _interrupt_on(signal.default_int_handler)
    if interrupted.is_set():
        mesh.stop()
        raise KeyboardInterrupt


def _interrupt_on(handler: Callable[[int, FrameType | None], object]) -> None:
    """Handle Ctrl-C so, and what else ends a program alike.

    Said also for SIGINT: a shell's background job begins with that one ignored.
    """
    signal.signal(signal.SIGINT, handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def _run(ground: Ground, session: Session, console: Console) -> bool:
    options = replace(session.options, stays=session.keep)
    try:
        return asyncio.run((check if session.only_check else play)(ground, options, console))
    except httpx.HTTPError as error:
        where = f" at {error.request.url}" if error._request else ""  # noqa: SLF001 - raises if unset
        raise MeshError(
            f"a processor{where} did not answer ({type(error).__name__} {error}): look into "
            f"{ground.data_dir / 'logs'}; an outage of the sandbox ends by DELETE …/outage"
        ) from None
    except grpc.aio.AioRpcError as error:
        raise MeshError(
            f"a service answered {error.code().name}: {error.details()}: look into "
            f"{ground.data_dir / 'logs'}"
        ) from None


def _config(session: Session, tell: Callable[[str], None]) -> MeshConfig:
    config = MeshConfig(
        data_dir=session.data_dir,
        base_port=session.base_port,
        chain=session.chain,
        localstripe=session.localstripe,
        extra_env={"router": {"CASHIER_DOUBT_SCHEDULE_S": DOUBT_SCHEDULE_S}},
    )
    if session.base_port != BASE_PORT:
        return config  # somebody chose: the supervisor says if it cannot be had
    try:
        require_free(config.claims())
    except PortTaken as taken:
        elsewhere = replace(config, base_port=0)
        tell(
            f"port {taken.port} for {taken.part} is taken by another program: this run uses ports "
            f"from {elsewhere.base_port} on"
        )
        return elsewhere
    return config


def _wait(mesh: Mesh) -> None:
    forever = threading.Event()
    try:
        while not forever.wait(KEEP_CHECK_S):
            if not mesh.units:
                raise MeshError("the mesh was stopped")
    except KeyboardInterrupt:
        return
