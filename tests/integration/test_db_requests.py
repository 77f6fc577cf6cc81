"""One idempotency key makes one thing, however many calls arrive at once."""

# ruff: noqa: PT012 - a unit of work fails at its end, so its whole block stands inside `raises`

import asyncio
import hashlib

import pytest
import sqlalchemy as sa

from cashier_common.db.engine import Database
from cashier_common.db.requests import Claimed, KeyTaken, claim, find
from cashier_common.db.transaction import compiled
from cashier_common.errors import IdempotencyKeyReused, Refusal

ONE, OTHER = hashlib.sha256(b"100 EUR").digest(), hashlib.sha256(b"100 USD").digest()
wallets = sa.table("wallets", sa.column("name", sa.Text), sa.column("balance", sa.BigInteger))
ADD = compiled(sa.insert(wallets))
COUNT = compiled(sa.select(sa.func.count()).select_from(wallets))


@pytest.fixture
async def book(sample_database):
    db = await Database.connect(sample_database.app_url, name="test", pool_size=12)
    yield db
    await db.close()


async def create(book: Database, number: int, fingerprint: bytes = ONE) -> Claimed | None:
    """What a flow does: claim and work in one unit; the loser looks what the winner made."""
    name = f"wallets/{number}"
    try:
        async with book.begin() as tx:
            claim(
                tx,
                merchant="acme",
                key="k" * 16,
                method="/x/Create",
                fingerprint=fingerprint,
                resource=name,
            )
            tx.write(ADD, name=name, balance=1)
    except KeyTaken:
        earlier = await find(book.fetch_one, merchant="acme", key="k" * 16, fingerprint=fingerprint)
        assert earlier is not None
        return earlier
    return None


async def test_fifty_concurrent_claims_make_one_winner(book):
    results = await asyncio.gather(*(create(book, number) for number in range(50)))

    assert 1 == results.count(None)
    winner = f"wallets/{results.index(None)}"
    assert {winner} == {earlier.resource for earlier in results if earlier is not None}
    counted = await book.fetch_one(COUNT)
    assert counted is not None
    assert 1 == counted[0]


async def test_the_same_key_with_another_request_is_refused(book):
    await create(book, 1)

    with pytest.raises(IdempotencyKeyReused) as refused:
        await create(book, 2, OTHER)

    assert isinstance(refused.value, Refusal)


async def test_a_duplicate_waits_for_the_first_and_takes_over_when_it_fails(book):
    held = asyncio.Event()

    async def first() -> None:
        async with book.begin() as tx:
            await tx.read(
                compiled(sa.text("INSERT INTO requests VALUES ('acme', :key, '', '', '')")),
                key="k" * 16,
            )
            held.set()
            await asyncio.sleep(0.3)
            raise LookupError

    failing = asyncio.create_task(first())
    await held.wait()
    duplicate = asyncio.create_task(create(book, 2))
    await asyncio.sleep(0.1)

    assert not duplicate.done()
    assert await duplicate is None
    with pytest.raises(LookupError):
        await failing


async def test_a_refused_unit_claims_nothing(book):
    with pytest.raises(LookupError):
        async with book.begin() as tx:
            claim(tx, merchant="acme", key="k" * 16, method="", fingerprint=ONE, resource="")
            raise LookupError

    assert await find(book.fetch_one, merchant="acme", key="k" * 16, fingerprint=ONE) is None
