"""A worker of recon dies where it stands, and the books come out the same."""

import asyncio
import os
import signal
import sys

from cashier_common.db.audit import SHARD_COUNT
from tests.support.recon_router import FakeRouter, Operation, event_of

pytest_plugins = ["tests.support.recon_books"]
OK = Operation.STATE_SUCCEEDED


async def test_a_worker_that_is_killed_with_kill_9_leaves_the_same_books(
    recon_database, recon_db, sql, tmp_path
):
    """The process dies at random moments while events stream in; each is booked once."""
    router, payments = FakeRouter(), 1_500
    target = await router.start()
    for number in range(1, payments + 1):
        router.append(number % SHARD_COUNT, [event_of(number, OK, amount=number)])
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "CASHIER_ENVIRONMENT": "development",
        "CASHIER_PLAINTEXT": "true",
        "CASHIER_DATABASE_URL": recon_database.app_url,
        "CASHIER_ROUTER_TARGET": target,
    }
    log = (tmp_path / "work.log").open("wb")
    read = "SELECT coalesce(sum(position), 0)::int FROM cursors"
    kills = 0

    async def start():
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cashier_recon", "work", env=environment, stdout=log, stderr=log
        )

    try:
        for wait_s in (0.01, 0.05, 0.1):
            process = await start()
            before = await sql.fetchval(read)
            async with asyncio.timeout(30):
                while await sql.fetchval(read) == before < payments:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
            await asyncio.sleep(wait_s)
            process.send_signal(signal.SIGKILL)
            kills += await process.wait() == -signal.SIGKILL
        process = await start()
        payments += 1  # one that only this process can book: all else may be booked already
        router.append(payments % SHARD_COUNT, [event_of(payments, OK, amount=payments)])
        async with asyncio.timeout(30):
            while await sql.fetchval(read) < payments:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        process.terminate()
        assert 0 == await process.wait()
    finally:
        log.close()
        await router.kill()

    assert 3 == kills
    assert (payments, payments * (payments + 1) // 2) == tuple(
        await sql.fetchrow("SELECT count(*), sum(amount) FROM entries WHERE account = 'receivable'")
    )
    assert payments == await sql.fetchval("SELECT count(*) FROM expectations WHERE state = 'OPEN'")
