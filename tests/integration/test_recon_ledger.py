"""The database itself keeps the books balanced, whoever writes."""

from datetime import UTC, datetime

import asyncpg
import pytest

pytest_plugins = ["tests.support.recon_books"]
AT = datetime(2026, 1, 5, tzinfo=UTC)
JOURNAL = (
    "INSERT INTO journals (journal_id, cause, merchant, payment, operation, processor_account, "
    "source, entry_count, book_time, traceparent) "
    "VALUES ($1, 'X', '', '', '', 'a', 's', $2, $3, '')"
)
ENTRY = (
    "INSERT INTO entries (journal_id, leg, account, owner, asset, amount, book_time) "
    "SELECT $1, leg, account, 'a', asset, amount, $2 "
    "FROM unnest($3::smallint[], $4::text[], $5::text[], $6::bigint[]) "
    "AS given(leg, account, asset, amount)"
)


async def book(sql, name, legs, *, count=None):
    async with sql.transaction():
        await sql.execute(JOURNAL, name, len(legs) if count is None else count, AT)
        if legs:
            numbers = list(range(1, len(legs) + 1))
            await sql.execute(ENTRY, name, AT, numbers, *map(list, zip(*legs, strict=True)))


@pytest.mark.parametrize(
    ("legs", "why"),
    [
        ([("receivable", "EUR", 100), ("merchant_payable", "EUR", -99)], "sum to 1"),
        ([("receivable", "EUR", 100), ("merchant_payable", "USD", -100)], "does not balance in"),
        (
            [("a", "EUR", 1), ("b", "EUR", -1), ("c", "JPY", 5), ("d", "JPY", -6)],
            "does not balance in JPY",
        ),
    ],
)
async def test_a_journal_that_does_not_balance_per_asset_is_refused(sql, legs, why):
    with pytest.raises(asyncpg.CheckViolationError, match=why):
        await book(sql, "j1", legs)

    assert 0 == await sql.fetchval("SELECT count(*) FROM journals")


async def test_a_journal_without_its_entries_is_refused_at_commit(sql):
    with pytest.raises(asyncpg.CheckViolationError, match="has not the 2 entries"):
        await book(sql, "j1", [], count=2)


async def test_entries_cannot_be_added_to_a_journal_later(sql):
    legs = [("receivable", "EUR", 100), ("merchant_payable", "EUR", -100)]
    await book(sql, "j1", legs)

    with pytest.raises(asyncpg.CheckViolationError, match="all of its entries at once"):
        await sql.execute(ENTRY, "j1", AT, [3, 4], ["a", "b"], ["EUR", "EUR"], [5, -5])


async def test_entries_without_a_journal_are_refused(sql):
    with pytest.raises(asyncpg.CheckViolationError, match="no journal"):
        await sql.execute(ENTRY, "j9", AT, [1, 2], ["a", "b"], ["EUR", "EUR"], [5, -5])


@pytest.mark.parametrize("table", ["journals", "entries", "steps"])
@pytest.mark.parametrize(
    "verb", ["UPDATE {} SET book_time = now()", "DELETE FROM {}", "TRUNCATE {}"]
)
async def test_the_app_role_may_only_add_to_the_books(sql, table, verb):
    verb = verb.replace("book_time", "record_time") if table == "steps" else verb

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await sql.execute(verb.format(table))


async def test_sums_beyond_64_bits_are_still_exact(sql):
    most = 2**63 - 1
    for number in range(3):
        await book(sql, f"j{number}", [("receivable", "ETH", most), ("wallet", "ETH", -most)])

    total = await sql.fetchval("SELECT sum(amount) FROM entries WHERE account = 'receivable'")

    assert 3 * most == total
