"""Files for the bank: who writes one, and when."""

import asyncio

import pytest

from cashier_gateway.domain.ach import EntryState
from cashier_nacha import parse
from tests.support.gateway_bank import (
    BANK,
    BankRig,
    rig,
    sandbox,
    service,
)
from tests.support.postgres_fixture import postgres

__all__ = ["postgres", "rig", "sandbox", "service"]

pytestmark = pytest.mark.long


async def test_two_writers_put_an_entry_into_one_file(rig):
    commands = [await rig.debit() for _ in range(4)]
    for command in commands:
        await rig.rig.authorize(command)

    await asyncio.gather(*(rig.exchange.write(BANK, rig.bank) for _ in range(4)))

    files = await rig.files()
    entries = [entry for file in files for entry in parse(file["content"]).entries]
    assert 4 == len(entries) == len({entry.individual_id for entry in entries})


async def test_entries_wait_until_they_are_enough_or_old(service, sandbox, rig):
    terms = rig.bank._account.ach.model_copy(update={"window_s": 3_600, "entries_max": 2})
    patient = await BankRig.open(service, sandbox, ach=terms.model_dump())
    command = await patient.debit()
    await patient.rig.authorize(command)

    alone = await patient.exchange.write(BANK, patient.bank)
    await patient.rig.authorize(await patient.debit())
    full = await patient.exchange.write(BANK, patient.bank)
    await patient.rig.close()

    assert (0, 1) == (alone, full)
    entry = await rig.book.find(merchant=command.merchant, operation=command.operation)
    assert EntryState.FILED is entry.state
