"""`python -m tests.bench webhooks`: webhooks per second into the inbox, calm and with kill -9.

PostgreSQL has fsync and synchronous_commit on. One gateway serves, one works, on the same cores as
the sender and the database. The calls that the webhooks are about wait for them.
"""

import asyncio
import tempfile
from pathlib import Path

from rich.console import Console

from cashier_common.db.migrate import run_migrations
from cashier_mesh.postgres import temporary_postgres
from tests.support.gateway_webhooks import Hooks
from tests.support.webhook_storm import Storm, Told

LETTERS = 4_000
SENDERS = 32
KILLS = 6
SEED = 1
WANTED_PER_SECOND = 500


def main() -> int:
    """Print what was measured; 1 where something was lost or done twice, or calm was too slow."""
    console, is_good = Console(), True
    for kills in (0, KILLS):
        seen, lost, twice = _measured(kills)
        is_good &= not lost and not twice and (kills > 0 or seen.per_second >= WANTED_PER_SECOND)
        console.print(
            f"{kills} kills: {len(seen.accepted)} letters accepted at {seen.per_second:.0f}/s"
            f" (p50 {seen.latency_ms(0.5):.1f} ms, p99 {seen.latency_ms(0.99):.1f} ms),"
            f" {seen.repeated} sent again, all applied after {seen.processed_s:.1f} s"
            f" ({len(seen.accepted) / seen.processed_s:.0f}/s); lost {lost}, twice {twice};"
            f" processor time: intake {seen.intake_cpu_s:.1f} s, worker {seen.work_cpu_s:.1f} s"
        )
    return 0 if is_good else 1


def _measured(kills: int) -> tuple[Told, int, int]:
    with (
        tempfile.TemporaryDirectory(prefix="cashier-bench-") as folder,
        temporary_postgres(fsync=True) as server,
    ):
        service = server.provision("gateway")
        asyncio.run(run_migrations("cashier_gateway", service.owner_url))

        async def run() -> tuple[Told, int, int]:
            hooks = await Hooks.open(service)
            storm = Storm(Path(folder), service, hooks, LETTERS, SEED)
            seen = await storm.rage(senders=SENDERS, kills=kills)
            found, kept = await storm.truth(), await storm.kept()
            await hooks.close()
            lost = len(seen.accepted - kept) + LETTERS - found["succeeded"]
            return seen, lost, abs(found["steps"] - found["succeeded"])

        return asyncio.run(run())
