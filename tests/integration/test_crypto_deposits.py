"""Deposits on a real EVM inside the process: what is credited, what is not, and what is kept."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from cashier_common.errors import FieldInvalid, OperationReused
from cashier_common.money import Money
from cashier_crypto.domain.errors import AccountNotEligible
from cashier_crypto.domain.lifecycle import State
from cashier_crypto.domain.outcome import Verdict
from tests.support.crypto_deposits import chain, rig, service
from tests.support.crypto_rig import CONFIRMATIONS, ORIGIN, a_command

__all__ = ["chain", "rig", "service"]


async def test_an_operation_gets_one_address_and_keeps_it(rig):
    command = a_command()

    first, known = await rig.flow(command, ORIGIN)
    again, known_again = await rig.flow(command, ORIGIN)

    assert first == again
    assert (False, True) == (known, known_again)
    assert State.AWAITED is first.state


async def test_the_same_operation_with_another_amount_is_refused(rig):
    command = a_command()
    await rig.authorize(command)

    with pytest.raises(OperationReused):
        await rig.authorize(replace(command, amount=Money(1, "USDC")))


async def test_twenty_concurrent_duplicates_make_one_deposit(rig):
    command = a_command()

    made = await asyncio.gather(*(rig.authorize(command) for _ in range(20)))

    assert 1 == len({transfer.address for transfer in made})
    assert ["AWAIT"] == await rig.actions(made[0])


async def test_sixty_deposits_get_sixty_addresses(rig):
    made = await asyncio.gather(*(rig.authorize() for _ in range(60)))

    assert 60 == len({transfer.address for transfer in made})


async def test_the_database_refuses_to_give_an_address_twice(rig, service):
    transfer = await rig.authorize()
    as_owner = await asyncpg.connect(service.owner_url)
    await as_owner.execute("CREATE TEMPORARY TABLE twin AS SELECT * FROM transfers")
    await as_owner.execute("UPDATE twin SET name = 'transfers/tr_x', operation = 'other'")

    with pytest.raises(asyncpg.UniqueViolationError, match="transfers_address_key"):
        await as_owner.execute("INSERT INTO transfers SELECT * FROM twin")
    await as_owner.close()
    assert State.AWAITED is (await rig.now(transfer)).state


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": Money(100, "EUR")},
        {"method": "CARD"},
        {"chain": "eip155:1"},
    ],
)
async def test_what_the_account_does_not_take_is_refused_and_nothing_is_written(rig, changes):
    command = a_command(**changes)

    with pytest.raises(AccountNotEligible):
        await rig.authorize(command)

    assert await rig.book.find(merchant=command.merchant, operation=command.operation) is None


async def test_an_unknown_account_is_refused(rig):
    with pytest.raises(FieldInvalid, match="processor_account"):
        await rig.authorize(a_command(account="evm-other"))


async def test_an_exact_deposit_is_credited_once_when_it_is_final(rig):
    transfer = await rig.authorize()
    rig.chain.pay(transfer.address, 12_500_000)
    await rig.watch()
    seen = await rig.now(transfer)
    rig.chain.mine(CONFIRMATIONS - 1)
    await rig.watch()
    almost = await rig.now(transfer)
    told_before = await rig.told(transfer)
    rig.chain.mine(1)
    await rig.watch()
    await rig.watch()

    credited = await rig.now(transfer)
    told = await rig.told(transfer)
    assert (State.SEEN, State.CONFIRMING, State.CREDITED) == (
        seen.state, almost.state, credited.state,
    )  # fmt: skip
    assert [] == told_before
    assert [(Verdict.SUCCEEDED, Money(12_500_000, "USDC"))] == [
        (outcome.verdict, outcome.amount) for outcome in told
    ]
    assert told[0].settlement is not None
    assert Money(0, "USDC") == told[0].settlement.expected_fee
    assert ["AWAIT", "SEE", "CONFIRM", "FINALIZE", "LATE_CREDIT"] == await rig.actions(transfer)
    assert [] == (await rig.verify()).findings


@pytest.mark.parametrize("units", [12_499_999, 12_500_001, 1])
async def test_another_amount_is_told_as_a_conflict_and_never_credited(rig, units):
    transfer = await rig.authorize()

    await rig.pay_through(transfer, units)

    assert State.FINAL is (await rig.now(transfer)).state
    assert [(Verdict.CONFLICTED, Money(units, "USDC"))] == [
        (outcome.verdict, outcome.amount) for outcome in await rig.told(transfer)
    ]
    assert Verdict.CONFLICTED is (await rig.look_up(transfer)).verdict


async def test_a_token_that_only_calls_itself_usdc_is_evidence_and_no_money(rig):
    transfer = await rig.authorize()
    rig.chain.pay_with(rig.chain.fake_token(), transfer.address, 12_500_000)
    rig.chain.mine(CONFIRMATIONS)

    await rig.watch()

    assert State.AWAITED is (await rig.now(transfer)).state
    assert ["AWAIT", "WRONG_TOKEN"] == await rig.actions(transfer)
    assert [] == await rig.told(transfer)


async def test_another_listed_token_than_the_one_asked_for_is_no_money_either(rig):
    transfer = await rig.authorize()
    rig.chain.pay(transfer.address, 12_500_000, "USDT")
    rig.chain.mine(CONFIRMATIONS)

    await rig.watch()

    assert ["AWAIT", "WRONG_TOKEN"] == await rig.actions(transfer)


async def test_a_transfer_of_nothing_moves_nothing(rig):
    transfer = await rig.authorize()
    rig.chain.pay(transfer.address, 0)
    rig.chain.mine(CONFIRMATIONS)

    await rig.watch()

    assert ["AWAIT"] == await rig.actions(transfer)


async def test_a_second_transfer_to_the_address_is_surplus(rig):
    transfer = await rig.authorize()
    await rig.pay_through(transfer)
    await rig.pay_through(transfer)

    assert State.CREDITED is (await rig.now(transfer)).state
    assert "SURPLUS" == (await rig.actions(transfer))[-1]
    assert 1 == len(await rig.told(transfer))


async def test_logs_of_one_transaction_are_told_apart_by_their_ordinal(rig):
    transfers = [await rig.authorize() for _ in range(5)]
    tx_hash = rig.chain.pay_many([transfer.address for transfer in transfers], 12_500_000)
    rig.chain.mine(CONFIRMATIONS)

    await rig.watch()

    found = [await rig.now(transfer) for transfer in transfers]
    assert [f"{tx_hash}:{ordinal}" for ordinal in range(5)] == [t.reference for t in found]
    assert {State.CREDITED} == {transfer.state for transfer in found}


async def test_two_watchers_credit_once(rig):
    transfer = await rig.authorize()
    twin = rig.twin()
    rig.chain.pay(transfer.address, 12_500_000)
    rig.chain.mine(CONFIRMATIONS)

    for _ in range(6):
        await asyncio.gather(rig.watcher.step(), twin.watcher.step())

    assert ["AWAIT", "SEE", "CONFIRM", "FINALIZE", "LATE_CREDIT"] == await rig.actions(transfer)


async def test_more_than_an_int64_is_told_without_a_number(rig):
    """A token of ours cannot mint that much; a chain's amounts are 256 bits all the same."""
    transfer = await rig.authorize()
    await rig.pay_through(transfer, 10**6)
    huge = replace((await rig.now(transfer)).sighting, units=2**255)

    async with rig.record.begin() as tx:
        rig.record.record(
            tx, rig.chain.caip2, seen=await rig.record.cursor(rig.chain.caip2),
            blocks=[await next_block(rig)], sightings=[huge], keep_from=0,
        )  # fmt: skip

    found = await rig.now(transfer)
    assert 2**255 == found.sighting.units
    assert found.observed is None


async def next_block(rig):
    rig.chain.mine(1)
    return await rig.endpoints[0].head()
