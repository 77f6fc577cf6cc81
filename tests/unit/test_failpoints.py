"""A failpoint does what was asked, where it was asked, and never in production."""

import asyncio
import subprocess
import sys
import time

import pytest

from cashier_common import failpoints
from cashier_common.failpoints import FailpointsRefused, InjectedFault, configure, hit


@pytest.fixture(autouse=True)
def _clean():
    yield
    configure("", environment="development")


async def test_nothing_happens_where_nothing_is_configured():
    await hit("router.before_commit")

    assert failpoints._points == {}


async def test_only_the_named_place_fails():
    configure("router.before_commit:error", environment="development")

    await hit("router.after_commit")
    with pytest.raises(InjectedFault, match=r"router\.before_commit"):
        await hit("router.before_commit")


async def test_the_nth_hit_alone_fails():
    configure("a:error@3", environment="development")

    seen = []
    for _ in range(5):
        try:
            await hit("a")
            seen.append("passed")
        except InjectedFault:
            seen.append("failed")

    assert seen == ["passed", "passed", "failed", "passed", "passed"]


async def test_a_place_can_be_slowed_down():
    configure("slow:sleep=0.05, other:error", environment="development")
    started = time.monotonic()

    await hit("slow")

    assert time.monotonic() - started >= 0.05


def test_a_killed_process_runs_nothing_more():
    code = (
        "import asyncio, atexit\n"
        "from cashier_common.failpoints import configure, hit\n"
        "atexit.register(print, 'handler', flush=True)\n"
        "configure('x:kill@2', environment='development')\n"
        "async def main():\n"
        "    for n in range(3):\n"
        "        await hit('x'); print(n, flush=True)\n"
        "asyncio.run(main())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stdout) == (-9, "0\n")


def test_production_refuses_them_with_a_way_out():
    with pytest.raises(FailpointsRefused, match="unset CASHIER_FAILPOINTS, or set"):
        configure("x:kill", environment="production")

    configure("", environment="production")


@pytest.mark.parametrize(
    "text",
    ["x", "x:explode", "x:kill@0", "x:sleep", "x:sleep=-1", "x:sleep=9999", ":kill", "X:kill"],
)
def test_what_cannot_be_read_is_refused_and_changes_nothing(text):
    configure("a:error", environment="development")

    with pytest.raises(FailpointsRefused, match="failpoint"):
        configure(text, environment="development")

    with pytest.raises(InjectedFault):
        asyncio.run(hit("a"))
