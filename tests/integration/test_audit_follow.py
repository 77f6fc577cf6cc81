"""Whoever listens to a record hears each late step once, in order, those that come later too."""

import asyncio
import contextlib

import pytest

from cashier_common.db.audit import STEP, CursorAhead, Sealer, shard_of, step_params
from cashier_common.db.engine import Database
from cashier_common.db.follow import SealedRecord, late_steps

SHARD = shard_of("acme")
HEARD_WITHIN_S = 5.0


@pytest.fixture
async def db(sample_database):
    database = await Database.connect(sample_database.app_url, name="test")
    yield database
    await database.close()


async def record_steps(db, versions, *, late):
    for version in versions:
        action = "LATE_SUCCEED" if version in late else "SUBMIT"
        async with db.begin() as tx:
            tx.write(
                STEP,
                **step_params(
                    merchant="acme", subject="payments/1", version=version, actor="test",
                    action=action, before_state="", after_state="", payload={}, traceparent="",
                ),
            )  # fmt: skip
    await Sealer(db).seal()


async def test_a_listener_hears_what_was_late_and_what_comes(db):
    await record_steps(db, range(1, 8), late={2, 5})
    heard, caught_up = [], asyncio.Event()

    async def listen():
        async for step in late_steps(SealedRecord(db), shard=SHARD, after=0):
            heard.append(step.position)
            if len(heard) == 2:
                caught_up.set()
            if len(heard) == 3:
                return

    listening = asyncio.create_task(listen())
    await caught_up.wait()
    await record_steps(db, range(8, 12), late={10})
    async with asyncio.timeout(HEARD_WITHIN_S):
        await listening

    assert [2, 5, 10] == heard


async def test_a_listener_that_comes_back_hears_only_what_is_behind_its_place(db):
    await record_steps(db, range(1, 8), late={2, 5})
    heard = []

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            async for step in late_steps(SealedRecord(db), shard=SHARD, after=2):
                heard.append(step.position)  # noqa: PERF401 - the time-out ends it

    assert [5] == heard


async def test_a_listener_ahead_of_the_record_is_told(db):
    await record_steps(db, range(1, 3), late={2})

    with pytest.raises(CursorAhead):
        await anext(late_steps(SealedRecord(db), shard=SHARD, after=9))


async def test_the_record_proves_a_range_of_one_shard(db):
    await record_steps(db, range(1, 8), late={2})

    report = await SealedRecord(db).verify(SHARD, 4)

    assert ([], 4) == (report.findings, report.checked)
