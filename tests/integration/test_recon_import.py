"""A file counts once, whole or not at all, and what cannot be read is kept with its reason."""

from tests.support.recon_statements import row

pytest_plugins = ["tests.support.recon_books", "tests.support.recon_world_fixture"]


async def test_the_same_file_twice_changes_nothing(world, sql):
    rows = [row(n, 100 + n) for n in range(5)]
    first, was_there = await world.load(rows)

    again, is_there = await world.load(rows)

    assert (first, False, True) == (again, was_there, is_there)
    assert 5 == await sql.fetchval("SELECT count(*) FROM statement_lines")


async def test_overlapping_exports_count_each_line_once(world, sql):
    await world.load([row(n, 100) for n in (1, 2)])
    statement, _ = await world.load(
        [row(2, 100, status="paid", payout_id="po_7"), row(3, 100), row(1, 101)]
    )

    found = await sql.fetch("SELECT external_id FROM statement_lines ORDER BY 1")
    assert ["txn_1_1_charge", "txn_2_1_charge", "txn_3_1_charge"] == [r[0] for r in found]
    assert (3, 1, 1) == (
        statement.line_count,
        statement.repeated_line_count,
        statement.rejected_line_count,
    )
    assert "FILE_RESTATED" == await sql.fetchval("SELECT reject FROM rejected_rows")


async def test_a_broken_file_is_kept_apart_with_its_reason(world, sql):
    statement, _ = await world.load(b"id,amount\n1,2\n")

    assert "QUARANTINED" == statement.state
    assert "no column available_on" in statement.detail
    assert b"id,amount\n1,2\n" == await sql.fetchval("SELECT content FROM quarantined_files")
    assert 0 == await sql.fetchval("SELECT count(*) FROM statement_lines")


async def test_a_card_number_in_a_file_is_stored_nowhere(world, sql):
    card = "4242 4242 4242 4242"
    await world.load(
        [
            row(1, 100, description=f"card {card}"),
            row(2, 100, description=card) | {"fee": "x"},
            row(3, 100, source=card),
        ]
    )
    await world.load(b"id,amount\n1," + card.encode())

    for table in ("statement_lines", "rejected_rows", "quarantined_files", "statements", "steps"):
        for record in await sql.fetch(f"SELECT t::text FROM {table} t"):  # noqa: S608
            text = record[0].replace("\\x", "")
            assert "4242 4242" not in text
            assert b"4242 4242".hex() not in text
