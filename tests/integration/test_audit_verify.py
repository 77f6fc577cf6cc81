"""Nobody changes, removes, renumbers or reorders what is in the record unseen."""

import pytest

from cashier_common.db.audit import Fault, Sealer, verify
from cashier_common.db.record import GENESIS, chain_hash
from tests.support.audit_book import a_step, book, faults, record, seal_all, ten_steps

__all__ = ["book", "ten_steps"]


async def test_an_untouched_record_verifies_and_tells_its_heads(book, ten_steps):
    found = await verify(book)

    assert found.findings == []
    assert found.checked == 10
    assert found.complete
    assert found.heads[ten_steps][0] == 10


@pytest.mark.parametrize(
    "column",
    [
        "actor = 'x'",
        "action = 'x'",
        "before_state = 'x'",
        "after_state = 'x'",
        "traceparent = 'x'",
        "payload = '{}'",
        "payload = '{}', payload_hash = sha256('{}')",
        "record_time = record_time + interval '1 microsecond'",
        "shard = 99",
    ],
)
async def test_a_changed_column_is_found(book, ten_steps, as_owner, column):
    await as_owner(f"UPDATE steps SET {column} WHERE version = 5")  # noqa: S608 - a tamperer

    found = await faults(book)

    assert found == [(Fault.CHANGED, 5, "payments/1", 5)]


async def test_a_deleted_step_is_found(book, ten_steps, as_owner):
    await as_owner("DELETE FROM steps WHERE version = 5")

    found = await faults(book)

    assert found == [(Fault.MISSING, 5, "payments/1", 5)]


async def test_a_step_that_is_deleted_with_its_seal_is_found(book, ten_steps, as_owner):
    await as_owner("DELETE FROM steps WHERE version = 5; DELETE FROM seals WHERE version = 5")

    found = await faults(book)

    assert found == [(Fault.MISSING, 5, "", 0)]


async def test_a_renumbered_step_is_found(book, ten_steps, as_owner):
    await as_owner("UPDATE steps SET version = 50 WHERE version = 5")
    await as_owner("UPDATE steps SET record_time = record_time - interval '1 min' WHERE version=50")

    found = await faults(book)

    assert found == [(Fault.MISSING, 5, "payments/1", 5), (Fault.UNSEALED, 0, "payments/1", 50)]


async def test_two_seals_that_changed_places_are_found(book, ten_steps, as_owner):
    await as_owner(
        "ALTER TABLE seals DROP CONSTRAINT seals_position_positive_check;"
        "UPDATE seals SET position = -position WHERE position IN (4, 5);"
        "UPDATE seals SET position = 9 + position WHERE position < 0"
    )

    found = await faults(book)

    assert {fault for fault, *_ in found} == {Fault.REORDERED}
    assert {position for _, position, *_ in found} >= {4, 5}


async def test_versions_that_were_sealed_in_the_wrong_order_are_found(book, ten_steps, as_owner):
    """A chain that was computed anew hides nothing: the versions themselves tell."""
    rows = await as_owner("SELECT * FROM seals WHERE $1 ORDER BY position", True)
    order = [rows[place] for place in (0, 2, 1, *range(3, 10))]
    await as_owner("DELETE FROM seals")
    chain = GENESIS
    for position, row in enumerate(order, start=1):
        chain = chain_hash(chain, position, row["step_hash"])
        await as_owner(
            "INSERT INTO seals VALUES ($1, $2, $3, $4, $5, $6, $7)",
            row["shard"],
            position,
            row["merchant"],
            row["subject"],
            row["version"],
            row["step_hash"],
            chain,
        )

    found = await faults(book)

    assert found == [(Fault.REORDERED, 2, "payments/1", 3)]


async def test_a_row_that_is_older_than_five_seconds_and_not_sealed_is_found(
    book, ten_steps, as_owner
):
    await record(book, a_step(version=11), a_step(version=12))
    await as_owner("UPDATE steps SET record_time = record_time - interval '6 s' WHERE version = 11")

    found = await faults(book)

    assert found == [(Fault.UNSEALED, 0, "payments/1", 11)]


async def test_a_range_is_verified_against_the_seal_before_it(book, ten_steps, as_owner):
    await as_owner("UPDATE steps SET actor = 'x' WHERE version IN (2, 8)")

    assert await faults(book, shard=ten_steps, from_position=3) == [
        (Fault.CHANGED, 8, "payments/1", 8)
    ]
    assert await faults(book, shard=ten_steps, from_position=9) == []
    assert await faults(book, shard=ten_steps, from_position=11) == []
    assert [fault for fault, *_ in await faults(book, shard=ten_steps, from_position=13)] == [
        Fault.MISSING
    ]


async def test_a_long_record_is_verified_in_chunks(book, as_owner, monkeypatch):
    monkeypatch.setattr("cashier_common.db.verify.CHUNK_ROWS", 7)
    await record(book, *(a_step(version=version) for version in range(1, 31)))
    await seal_all(Sealer(book))
    await as_owner("UPDATE steps SET actor = 'x' WHERE version IN (7, 8, 30)")
    await as_owner("DELETE FROM seals WHERE version = 14")
    await as_owner("UPDATE steps SET record_time = record_time - interval '1 h' WHERE version = 14")

    found = await faults(book)

    assert found == [
        (Fault.CHANGED, 7, "payments/1", 7),
        (Fault.CHANGED, 8, "payments/1", 8),
        (Fault.MISSING, 14, "", 0),
        (Fault.CHANGED, 30, "payments/1", 30),
        (Fault.UNSEALED, 0, "payments/1", 14),
    ]
