"""Statements are compiled once; their parameters are checked by name."""

import uuid
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from cashier_common.db.statement import compiled, renumbered
from cashier_common.db.transaction import Write, combined

metadata = sa.MetaData()
things = sa.Table(
    "things",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("tries", sa.BigInteger, default=7),
    sa.Column("digest", sa.LargeBinary),
    sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
)


def test_an_insert_takes_the_named_columns_in_order():
    query = compiled(sa.insert(things), columns=["id", "state", "digest", "at"])
    key, at = uuid.uuid4(), datetime.now(UTC)

    arguments = query.arguments({"at": at, "digest": b"x", "state": "NEW", "id": key})

    assert query.sql.startswith("INSERT INTO things (id, state, tries, digest, at)")
    assert "RETURNING" not in query.sql
    assert (query.counted_sql or "").endswith("RETURNING 1")
    assert [key, "NEW", 7, b"x", at] == arguments


def test_literals_of_the_statement_need_no_parameter():
    query = compiled(
        sa.update(things)
        .where(things.c.id == sa.bindparam("key"), things.c.tries < 3)
        .values(state="it's $9", tries=things.c.tries + 1)
    )

    arguments = query.arguments({"key": 1})

    assert {"it's $9", 1, 3} == set(arguments)
    assert len(query.names) == 4


def test_a_missing_and_an_unknown_parameter_are_both_named():
    query = compiled(sa.select(things).where(things.c.state == sa.bindparam("state")))

    with pytest.raises(TypeError, match="missing: state; unknown: stat;"):
        query.arguments({"stat": "NEW"})


def test_a_parameter_too_many_is_refused():
    query = compiled(sa.select(things).where(things.c.state == sa.bindparam("state")))

    with pytest.raises(TypeError, match="missing: none; unknown: other;"):
        query.arguments({"state": "NEW", "other": 1})


def test_an_expanding_in_is_refused_with_the_way_out():
    statement = sa.select(things).where(things.c.state.in_(sa.bindparam("states", expanding=True)))

    with pytest.raises(TypeError, match=r"func\.any"):
        compiled(statement)


def test_a_default_that_is_computed_is_computed_each_time():
    numbers = iter(range(9))
    table = sa.Table(
        "counted",
        sa.MetaData(),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("n", sa.Integer, default=lambda: next(numbers)),
    )
    query = compiled(sa.insert(table), columns=["name"])

    first, second = query.arguments({"name": "a"}), query.arguments({"name": "a"})

    assert [["a", 0], ["a", 1]] == [first, second]
    assert ["a", 5] == compiled(sa.insert(table), columns=["name", "n"]).arguments(
        {"name": "a", "n": 5}
    )


def test_placeholders_are_renumbered_outside_of_literals_only():
    sql = """UPDATE "a$1" SET b = $1, c = '$2 it''s $3' WHERE d = $12"""

    moved = renumbered(sql, 10)

    assert """UPDATE "a$1" SET b = $11, c = '$2 it''s $3' WHERE d = $22""" == moved


KEY = sa.bindparam("key", type_=sa.Uuid())
ROWS = sa.select(sa.func.unnest(sa.bindparam("ids", type_=ARRAY(sa.Uuid))), sa.literal("NEW"))


@pytest.mark.parametrize(
    ("statement", "one"),
    [
        (insert(things).on_conflict_do_nothing(), True),
        (insert(things).values([{"id": 1, "state": "A"}, {"id": 2, "state": "B"}]), False),
        (insert(things).from_select(["id", "state"], ROWS), False),
        (sa.update(things).where(things.c.id == KEY, things.c.tries > 1).values(tries=2), True),
        (sa.update(things).where(sa.or_(things.c.id == KEY, things.c.tries == 1)), False),
        (sa.update(things).where(things.c.id != KEY).values(tries=2), False),
        (sa.update(things).where(things.c.id == things.c.id).values(tries=2), False),
        (sa.update(things).where(things.c.id == sa.func.any(KEY)).values(tries=2), False),
        (sa.delete(things).where(things.c.id == KEY), True),
        (sa.delete(things).where(things.c.state == KEY), False),
        (sa.delete(things), False),
    ],
)
def test_a_write_of_one_row_at_most_is_known_by_its_shape(statement, one):
    assert one == compiled(statement).touches_one_row_at_most


def test_combined_writes_run_in_order_and_are_remembered():
    add = compiled(sa.insert(things), columns=["id", "state"])
    drop = compiled(sa.delete(things).where(things.c.id == sa.bindparam("key")))
    writes = [
        Write(add, [1, 2, 3], 1, None),
        Write(drop, [4], None, None),
        Write(drop, [5], 1, None),
    ]

    text = combined(writes)

    assert text == combined(writes)
    assert text.startswith("WITH w0 AS (INSERT INTO things (id, state, tries) VALUES ($1::UUID")
    assert "w1 AS (DELETE FROM things WHERE things.id = $4::UUID RETURNING 1)" in text
    assert "w2 AS (DELETE FROM things WHERE things.id = $5::UUID RETURNING 1)" in text
    assert text.endswith(
        "SELECT expect_rows(0, (SELECT count(*) FROM w0), $6::bigint) AS c0, "
        "(SELECT count(*) FROM w1) AS c1, "
        "expect_rows(2, (SELECT count(*) FROM w2), $7::bigint) AS c2"
    )


@pytest.mark.parametrize(
    ("sql", "only_reads"),
    [
        ("SELECT 1", True),
        ("  select x FROM y", True),
        ("WITH gone AS (DELETE FROM y RETURNING 1) SELECT 1", False),
        ("UPDATE y SET x = 1", False),
    ],
)
def test_a_text_only_reads_when_it_says_so_from_its_first_word(sql, only_reads):
    assert only_reads is compiled(sa.text(sql)).only_reads
