"""A worker of recon that listens, or waits for a router that is away, ends when it is told to."""

import asyncio
import os
import sys
import time

import pytest

from tests.support.recon_router import FakeRouter, Operation, event_of

pytest_plugins = ["tests.support.recon_books"]
STOPPED_WITHIN_S = 1.0
STARTED_WITHIN_S = 30.0


@pytest.mark.parametrize("router_is", ["idle", "away"])
async def test_a_worker_that_waits_for_its_router_stops_within_a_second(
    recon_database, sql, tmp_path, router_is
):
    router = FakeRouter()
    target = await router.start()
    router.append(0, [event_of(1, Operation.STATE_SUCCEEDED, amount=5)])
    log = tmp_path / "work.log"
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "CASHIER_ENVIRONMENT": "development",
        "CASHIER_PLAINTEXT": "true",
        "CASHIER_DATABASE_URL": recon_database.app_url,
        "CASHIER_ROUTER_TARGET": target,
    }
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cashier_recon", "work", env=environment, stdout=out, stderr=out
        )
    try:
        async with asyncio.timeout(STARTED_WITHIN_S):
            while not await sql.fetchval("SELECT sum(position) FROM cursors"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            if router_is == "away":
                await router.kill()
                while log.read_text().count("feed_waits") < 8:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        told_at = time.monotonic()
        process.terminate()
        code = await process.wait()
        took_s = time.monotonic() - told_at
    finally:
        if process.returncode is None:
            process.kill()
        await router.kill()

    assert 0 == code
    assert took_s < STOPPED_WITHIN_S
    assert "never retrieved" not in log.read_text()
    assert "destroyed but it is pending" not in log.read_text()
