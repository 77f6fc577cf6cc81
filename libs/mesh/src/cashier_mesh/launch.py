"""Becomes another program that dies with its parent; run as a script by `processes.spawn`.

A script and not a `preexec_fn`: code between fork and exec may deadlock in a parent with threads
(gRPC has them). It imports the standard library alone, so `python -I -S` starts it in 15 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
KEEP_ACCOUNT = -1
EXIT_NOT_STARTED = 127


def main(arguments: list[str]) -> int:
    """Take `parent death_signal uid gid command…` and become the command; return on failure."""
    parent, death_signal, uid, gid = (int(word) for word in arguments[:4])
    command = arguments[4:]
    if uid != KEEP_ACCOUNT:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":  # after setuid, which clears the setting; exec keeps it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        return EXIT_NOT_STARTED
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # a shell's `&` leaves SIGINT ignored
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell on purpose
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
    return EXIT_NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
