"""Shows what all processes log in one stream, with the name of the process before each line."""

import json
import threading
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

PERIOD_S = 0.2
READ_BYTES_MAX = 256_000  # per file and turn, so that one talkative process cannot hide the others
NAME_WIDTH = 14
COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_magenta")
LEVEL_STYLES = {"warning": "yellow", "error": "red", "critical": "bold red"}
SHOWN_APART = ("timestamp", "at", "level", "event", "service", "logger")
# These talk about every connection; their files are there for whoever needs them.
QUIET = frozenset({"postgres", "valkey", "chain", "localstripe"})


class Stream:
    """Follows the log files of a folder; files are what processes write to, so nothing is lost."""

    def __init__(self, logs: Path, console: Console) -> None:
        self._logs = logs
        self._console = console
        self._offsets: dict[Path, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)

    def begin(self) -> None:
        """Show what is written from now on."""
        self._thread.start()

    def end(self) -> None:
        """Show what is left and stop."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            self._turn()
        self._turn()

    def _turn(self) -> None:
        for log in sorted(self._logs.glob("*.log")):
            if log.stem not in QUIET:
                for line in self._new_lines(log):
                    self._console.print(prefixed(log.stem, line), soft_wrap=True)

    def _new_lines(self, log: Path) -> list[str]:
        offset = self._offsets.get(log, 0)
        try:
            if log.stat().st_size < offset:
                offset = 0  # a new run, a new file
            with log.open("rb") as file:
                file.seek(offset)
                text = file.read(READ_BYTES_MAX)
        except FileNotFoundError:
            return []
        whole, newline, _ = text.rpartition(b"\n")
        if not newline and len(text) == READ_BYTES_MAX:
            whole = text  # a line longer than a turn
        self._offsets[log] = offset + len(whole) + len(newline)
        return whole.decode(errors="replace").splitlines() if whole or newline else []


def prefixed(name: str, line: str) -> Text:
    """Lay out one line: JSON as `event key=value`, anything else as it stands."""
    colour = COLOURS[sum(name.partition("-")[0].encode()) % len(COLOURS)]
    text = Text(f"{name:<{NAME_WIDTH}}│ ", style=colour)
    fields = _fields(line)
    if fields is None:
        return text.append(line, style="default")
    level = str(fields.get("level", "info")).lower()
    text.append(str(fields["event"]), style=LEVEL_STYLES.get(level, "default"))
    for key, value in fields.items():
        if key not in SHOWN_APART:
            text.append(f" {key}=", style="dim").append(_shown(value), style="default")
    return text


def _fields(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
