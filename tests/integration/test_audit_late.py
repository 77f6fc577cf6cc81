"""Late outcomes are found among any number of other steps, and hiding one is found too."""

import asyncpg
import pytest

from cashier_common.db.audit import (
    STEP,
    CursorAhead,
    Fault,
    Sealer,
    read_late,
    shard_of,
    step_params,
    verify,
)
from cashier_common.db.engine import Database

SHARD = shard_of("acme")


@pytest.fixture
async def book(sample_database):
    db = await Database.connect(sample_database.app_url, name="test")
    for version in range(1, 21):
        action = "LATE_SUCCEED" if version in {7, 15} else "SUBMIT"
        async with db.begin() as tx:
            tx.write(
                STEP,
                **step_params(
                    merchant="acme", subject="payments/1", version=version, actor="test",
                    action=action, before_state="", after_state="", payload={}, traceparent="",
                ),
            )  # fmt: skip
    assert await Sealer(db).seal() == 20
    yield db
    await db.close()


@pytest.mark.parametrize(("after", "found"), [(0, [7, 15]), (7, [15]), (14, [15]), (15, [])])
async def test_the_late_steps_behind_a_position_come_in_order(book, after, found):
    steps = await read_late(book, shard=SHARD, after=after)

    assert found == [step.position for step in steps]


async def test_a_cursor_ahead_of_the_record_is_refused(book):
    with pytest.raises(CursorAhead):
        await read_late(book, shard=SHARD, after=21)


async def test_a_seal_that_hides_a_late_outcome_is_found(book, sample_database):
    owner = await asyncpg.connect(sample_database.owner_url)
    await owner.execute("UPDATE seals SET late = false WHERE position = 7")
    await owner.close()

    report = await verify(book)

    assert [(Fault.CHANGED, 7)] == [(f.fault, f.position) for f in report.findings]
