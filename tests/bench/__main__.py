"""`make bench`: payments per second of the whole mesh beside the floor, in one run.

mTLS and telemetry are on; PostgreSQL has fsync and synchronous_commit on for both. The floor is
measured before and after each measurement of the mesh at 64 callers, because machines drift.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cashier_mesh.config import MeshConfig
from cashier_mesh.ports import free_base_port
from cashier_mesh.supervisor import Mesh
from tests.bench import health, webhooks
from tests.bench.floor import Floor

ROOT = Path(__file__).resolve().parents[2]
CALLERS = (1, 16, 64)
PER_CALLER_COUNT = {1: 200, 16: 1_600, 64: 3_200}
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
FLOOR_PAYMENTS = 6_400
WANTED_RATIO = 0.30
TRACES_PER_MILLE = 50


def load(job: dict[str, Any]) -> dict[str, Any]:
    """Run one load in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"], input=json.dumps(job), text=True,
        capture_output=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the load failed: {done.stderr[-2_000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> int:
    console = Console()
    with tempfile.TemporaryDirectory(prefix="cashier-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user when this one is root
        config = MeshConfig(
            data_dir=Path(folder) / "mesh", base_port=0, chain=False, localstripe=False,
            extra_env=telemetry(Path(folder)),
        )  # fmt: skip
        with Mesh(config) as mesh:
            return measure(mesh, console)


def telemetry(folder: Path) -> dict[str, dict[str, str]]:
    """Spans of 5 % of the payments are exported to a file by each service."""
    return {
        service: {
            "CASHIER_TRACE_FILE": str(folder / f"{service}.jsonl"),
            "CASHIER_TRACE_SAMPLE_RATIO": str(TRACES_PER_MILLE / 1_000),
        }
        for service in ("router", "risk", "gateway", "crypto", "recon")
    }


def measure(mesh: Mesh, console: Console) -> int:
    tls = mesh.credentials("checkout")
    files = [str(tls.certificate), str(tls.private_key), str(tls.authority)]
    dsn = mesh.stores.server().admin_url
    table = Table("what", "callers", "payments/s", "p50 ms", "p99 ms", "failed")
    ratios: list[float] = []
    with Floor(dsn, free_base_port([0, 1, 2, 3])) as floor:
        target = f"127.0.0.1:{floor.base_port}"

        def floor_run() -> dict[str, Any]:
            job = {"kind": "floor", "target": target, "folder": str(floor.folder), "callers": 64,
                   "payments": FLOOR_PAYMENTS}  # fmt: skip
            return load(job)

        def mesh_run(callers: int) -> dict[str, Any]:
            job = {"kind": "mesh", "target": mesh.targets["router"], "tls": files,
                   "callers": callers, "payments": PER_CALLER_COUNT[callers]}  # fmt: skip
            return load(job)

        for callers in CALLERS[:-1]:
            add(table, "mesh", callers, mesh_run(callers))
        before = floor_run()
        add(table, "floor", 64, before)
        failed = 0
        for _ in range(ROUNDS):
            result = mesh_run(64)
            after = floor_run()
            add(table, "mesh", 64, result)
            add(table, "floor", 64, after)
            floor_rate = (before["per_second"] + after["per_second"]) / 2
            ratios.append(result["per_second"] / floor_rate)
            failed += result["failed"]
            before = after
    console.print(table)
    ratio = statistics.median(ratios)
    console.print(
        f"ratio to the floor at 64 callers, median of {ROUNDS}: {ratio:.2f}"
        f" (from {min(ratios):.2f} to {max(ratios):.2f}; wanted: {WANTED_RATIO})"
    )
    return 1 if failed else 0


def add(table: Table, what: str, callers: int, result: dict[str, Any]) -> None:
    table.add_row(
        what, str(callers), f"{result['per_second']:.0f}", f"{result['p50_ms']:.1f}",
        f"{result['p99_ms']:.1f}", str(result["failed"]),
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["health"]:
        sys.exit(health.main(sys.argv[2:]))
    if sys.argv[1:2] == ["webhooks"]:
        sys.exit(webhooks.main())
    sys.exit(main())
