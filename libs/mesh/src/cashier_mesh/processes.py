"""Starts programs that never outlive this process, and ends them with their whole group."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cashier_mesh import launch
from cashier_mesh.accounts import Account
from cashier_mesh.errors import StartFailed

POLL_S = 0.02
TAIL_LINES = 25
TAIL_BYTES = 8_192
KILL_WAIT_S = 10.0  # the kernel ends a killed process at once unless a disk hangs

# Linux sends the parent-death signal when the *thread* that forked ends, so one thread that lives
# as long as this process does all the forking.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class Process:
    """One running program in a group of its own; its output goes to a file, never to a pipe."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.pid = popen.pid
        self.log = log
        self._popen = popen
        self._lock = threading.Lock()

    def exit_code(self) -> int | None:
        """Return None while it runs, then its code (negative: a signal); its group is gone too."""
        with self._lock:
            if self._popen.returncode is None and self._ended():
                self._sweep_group()
                self._popen.wait()
            return self._popen.returncode

    def running(self) -> bool:
        return self.exit_code() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program itself; a program that has ended is left alone."""
        with self._lock:
            if self._popen.returncode is None:
                os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """Return whether it ended in time."""
        deadline = time.monotonic() + timeout_s
        while self.running():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def stop(self, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
        """Send each signal and wait its seconds, then SIGKILL; return whether it went by itself."""
        for number, grace_s in steps:
            self.send(number)
            if self.wait(grace_s):
                return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it now and wait until it is gone, so that its port and files are free."""
        self.send(signal.SIGKILL)
        self.wait(KILL_WAIT_S)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of its log."""
        return tail_of(self.log, lines)

    def failed(self, trouble: str) -> StartFailed:
        """Return the error that says why it did not start, with the end of its log."""
        return StartFailed(part=self.name, trouble=trouble, log=str(self.log), tail=self.tail())

    def _ended(self) -> bool:
        if not hasattr(os, "waitid"):
            return self._popen.poll() is not None
        # WNOWAIT keeps the zombie, and with it the group's number, until the group is swept.
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def _sweep_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


@dataclass(frozen=True, kw_only=True)
class Command:
    """How to run one program; `death_signal` is what it gets if this process dies first."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str]
    log: Path
    cwd: Path = Path("/")
    account: Account | None = None
    death_signal: signal.Signals = signal.SIGKILL


def spawn(command: Command) -> Process:
    """Start a program; it appends to its log and reads nothing."""
    return _spawner.submit(_spawn, command).result()


def run(command: Command, timeout_s: float) -> None:
    """Run a program to its end; raise StartFailed if it fails or takes longer."""
    process = spawn(command)
    if not process.wait(timeout_s):
        process.kill()
        raise process.failed(f"it took longer than {timeout_s:g} s")
    if code := process.exit_code():
        raise process.failed(f"it ended with {describe_exit(code)}")


def describe_exit(code: int) -> str:
    """Say an exit code in words: `exit code 1` or `signal SIGKILL`."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def tail_of(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a file, or nothing if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _spawn(command: Command) -> Process:
    account = command.account
    uid, gid = (account.uid, account.gid) if account else (launch.KEEP_ACCOUNT,) * 2
    ids = [os.getpid(), int(command.death_signal), uid, gid]
    starter = [sys.executable, "-I", "-S", launch.__file__, *map(str, ids)]
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open("ab") as output:
        popen = subprocess.Popen(
            [*starter, *map(str, command.argv)],
            env=dict(command.env),
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops in order
        )
    return Process(command.name, popen, command.log)
