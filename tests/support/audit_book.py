"""The record of one database, and what a test writes into it, seals and verifies."""

from typing import Any

import pytest

from cashier_common.db.audit import STEP, Fault, Sealer, shard_of, step_params, verify
from cashier_common.db.engine import Database


def a_step(merchant: str = "acme", subject: str = "payments/1", version: int = 1, **other: Any):
    return step_params(
        **{
            "merchant": merchant,
            "subject": subject,
            "version": version,
            "actor": "spiffe://cashier.local/service/router",
            "action": "SUBMIT",
            "before_state": "CREATED",
            "after_state": "SUBMITTING",
            "payload": {"amount_minor": 100, "asset": "EUR"},
            "traceparent": "",
            **other,
        }
    )


@pytest.fixture
async def book(sample_database):
    db = await Database.connect(sample_database.app_url, name="test")
    yield db
    await db.close()


async def record(book: Database, *steps: dict[str, object]) -> None:
    for step in steps:
        async with book.begin() as tx:
            tx.write(STEP, **step)


async def seal_all(sealer: Sealer) -> int:
    total = 0
    while sealed := await sealer.seal():
        total += sealed
    return total


async def faults(book: Database, **range_: Any) -> list[tuple[Fault, int, str, int]]:
    found = await verify(book, **range_)
    return [(f.fault, f.position, f.subject, f.version) for f in found.findings]


@pytest.fixture
async def ten_steps(book):
    """Ten versions of one payment, sealed at positions 1 to 10 of one shard."""
    await record(book, *(a_step(version=version) for version in range(1, 11)))
    assert await seal_all(Sealer(book)) == 10
    return shard_of("acme")
