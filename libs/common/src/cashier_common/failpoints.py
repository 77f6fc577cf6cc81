"""Faults on demand: a named place in the code dies, fails or waits; tests prove recovery."""

import asyncio
import os
import re
import signal
from dataclasses import dataclass
from typing import Final

SLEEP_MAX_S: Final = 600.0
"""Longer than any deadline; a longer one is a slip of the pen."""

_POINT: Final = re.compile(
    r"^(?P<name>[a-z0-9_.-]+):(?P<action>kill|error|sleep=(?P<wait>[0-9]+(\.[0-9]+)?))"
    r"(@(?P<turn>[1-9][0-9]*))?$"
)


class FailpointsRefused(ValueError):
    """The setting cannot be used; the text says why and what to do."""


class InjectedFault(Exception):
    """What `error` raises; no code of ours catches it by name."""


@dataclass(slots=True)
class _Point:
    name: str
    action: str
    wait_s: float
    turn: int | None
    """The action happens on this hit alone, from 1; None: on each."""
    hits: int = 0


_points: dict[str, _Point] = {}


def configure(specification: str, *, environment: str) -> None:
    """Set the failpoints of this process: `name:kill`, `name:error`, `name:sleep=3`, by commas.

    `@N` behind one means its N-th hit alone: `router.before_commit:kill@20`. An empty text removes
    all. Raises FailpointsRefused outside of `development` and for a text that it cannot read.
    """
    wanted = [part.strip() for part in specification.split(",") if part.strip()]
    if wanted and environment != "development":
        raise FailpointsRefused(
            f"failpoints are set ({', '.join(wanted)}) while the environment is {environment}: "
            "unset CASHIER_FAILPOINTS, or set CASHIER_ENVIRONMENT=development"
        )
    points = [_read(part) for part in wanted]
    _points.clear()
    _points.update({point.name: point for point in points})


async def hit(name: str) -> None:
    """Do what was configured for this place; nothing, at the cost of a look-up, by default.

    `kill` ends the process by SIGKILL: no handler runs and nothing is flushed, as in a power cut.
    """
    if _points:
        point = _points.get(name)
        if point is not None:
            await _act(point)


async def _act(point: _Point) -> None:
    point.hits += 1
    if point.turn is not None and point.hits != point.turn:
        return
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif point.action == "error":
        raise InjectedFault(f"failpoint {point.name} was hit for the {point.hits}. time")
    else:
        await asyncio.sleep(point.wait_s)


def _read(part: str) -> _Point:
    found = _POINT.match(part)
    if found is None:
        raise FailpointsRefused(
            f"failpoint {part!r} cannot be read: write name:kill, name:error or "
            "name:sleep=SECONDS, with @N behind it for the N-th hit alone"
        )
    wait_s = float(found["wait"] or 0)
    if wait_s > SLEEP_MAX_S:
        raise FailpointsRefused(f"failpoint {part!r} sleeps over {SLEEP_MAX_S:g} s: choose less")
    turn = int(found["turn"]) if found["turn"] else None
    return _Point(found["name"], found["action"].partition("=")[0], wait_s, turn)
