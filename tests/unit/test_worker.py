"""Workers go on: after failures, beside broken neighbours, until they are told to stop."""

import asyncio

import pytest
import structlog

from cashier_common import worker as workers
from cashier_common.db.failures import CommitUnknown
from cashier_common.errors import StoreUnavailable
from cashier_common.worker import (
    BACKOFF_MAX_S,
    OUTAGE_BACKOFF_MAX_S,
    Worker,
    backoff_s,
    jittered_s,
    run_workers,
)


async def run_for(seconds: float, *all_workers: Worker) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await run_workers(all_workers, stop)


async def test_a_step_that_did_something_is_repeated_at_once_and_then_rests():
    answers = iter([3, 2, 0])
    calls = 0

    async def step() -> int:
        nonlocal calls
        calls += 1
        return next(answers, 0)

    worker = Worker("busy", step, 30.0)
    await run_for(0.1, worker)

    assert (calls, worker.heartbeat.done) == (3, 5)


@pytest.mark.parametrize(
    ("error", "most_s"),
    [
        (StoreUnavailable(), OUTAGE_BACKOFF_MAX_S),
        (CommitUnknown("x"), OUTAGE_BACKOFF_MAX_S),
        (RuntimeError("broken"), BACKOFF_MAX_S),
    ],
)
async def test_after_a_long_outage_a_worker_is_back_at_once_and_a_fault_of_ours_fills_no_log(
    error, most_s
):
    async def failing() -> int:
        raise error

    worker = Worker("failing", failing, 1.0)
    worker.heartbeat.failures = 30
    with structlog.testing.capture_logs() as logs:
        await run_for(0.02, worker)

    assert most_s * 0.8 <= logs[0]["pause_s"] <= most_s * 1.2


async def test_a_failing_worker_backs_off_recovers_and_does_not_touch_its_neighbour(monkeypatch):
    monkeypatch.setattr(workers, "BACKOFF_FIRST_S", 0.01)
    failures = iter([StoreUnavailable(), RuntimeError("broken"), None])
    beats = 0

    async def failing() -> int:
        if error := next(failures, None):
            raise error
        return 0

    async def steady() -> int:
        nonlocal beats
        beats += 1
        return 0

    worker = Worker("failing", failing, 0.01)
    with structlog.testing.capture_logs() as logs:
        await run_for(0.3, worker, Worker("steady", steady, 0.01))

    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("worker_refused", "warning"),
        ("worker_failed", "error"),
        ("worker_recovered", "info"),
    ]
    assert (worker.heartbeat.failures, worker.heartbeat.last_error) == (0, "")
    assert beats > 5


async def test_a_worker_whose_steps_only_fail_is_not_healthy():
    async def step() -> int:
        raise StoreUnavailable

    worker = Worker("failing", step, 0.01)
    assert worker.is_healthy(stale_after_s=0.05)
    with structlog.testing.capture_logs():
        await run_for(0.15, worker)

    assert not worker.is_healthy(stale_after_s=0.05)
    assert worker.heartbeat.failures > 0
    assert worker.heartbeat.last_error.startswith("StoreUnavailable: ")


async def test_the_step_under_way_is_finished_when_told_to_stop():
    finished = False

    async def step() -> int:
        nonlocal finished
        await asyncio.sleep(0.2)
        finished = True
        return 0

    await run_for(0.05, Worker("slow", step, 1.0))

    assert finished


async def test_a_step_that_never_ends_is_cut_off(monkeypatch):
    monkeypatch.setattr(workers, "STOP_WAIT_S", 0.05)

    async def step() -> int:
        await asyncio.sleep(3600)
        return 0

    with structlog.testing.capture_logs() as logs:
        await asyncio.wait_for(run_for(0.05, Worker("stuck", step, 1.0)), 2)

    assert [entry["event"] for entry in logs] == ["worker_cut_off"]


async def test_an_interruptible_step_is_cut_off_as_soon_as_it_is_to_stop():
    """A pull that is open for seconds must not hold up a restart; its `finally` still runs."""
    closed = False

    async def listen() -> int:
        nonlocal closed
        try:
            await asyncio.sleep(3600)
        finally:
            closed = True
        return 0

    finished = False

    async def send() -> int:
        nonlocal finished
        await asyncio.sleep(0.3)
        finished = True
        return 0

    listening = Worker("listening", listen, 1.0, interruptible=True)
    with structlog.testing.capture_logs() as logs:
        await asyncio.wait_for(run_for(0.05, listening, Worker("sending", send, 1.0)), 1)

    assert closed
    assert finished, "a step that may be sending is never cut off for a neighbour's sake"
    assert [] == logs


async def test_an_interruptible_worker_that_rests_stops_too():
    async def step() -> int:
        return 0

    await asyncio.wait_for(run_for(0.05, Worker("resting", step, 60, interruptible=True)), 1)


async def test_a_step_that_never_waits_starves_nobody():
    async def greedy() -> int:
        return 1

    await asyncio.wait_for(run_for(0.05, Worker("greedy", greedy, 1.0)), 2)


async def test_no_workers_at_all_just_wait_for_the_stop():
    await asyncio.wait_for(run_for(0.05), 2)


async def test_two_workers_with_one_name_are_refused():
    async def step() -> int:
        return 0

    with pytest.raises(ValueError, match="one name: same, same"):
        await run_workers([Worker("same", step, 1), Worker("same", step, 1)], asyncio.Event())


def test_a_period_of_nothing_is_refused():
    async def step() -> int:
        return 0

    with pytest.raises(ValueError, match="above 0"):
        Worker("spinning", step, 0)


def test_pauses_double_up_to_a_cap_and_never_agree():
    assert 0.16 <= backoff_s(1) <= 0.24
    assert 0.32 <= backoff_s(2) <= 0.48
    assert 24 <= backoff_s(10_000) <= 36
    assert len({jittered_s(1.0) for _ in range(20)}) > 1
