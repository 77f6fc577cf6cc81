"""Reorganisations on anvil: nothing is credited that is not final, and nothing twice."""

import pytest

from cashier_crypto.domain.errors import WrongChain
from cashier_crypto.domain.lifecycle import State
from cashier_crypto.flows.advance_transfers import advance_transfers
from cashier_crypto.flows.follow_chain import follow_chain
from tests.support.crypto_chain import running_anvil
from tests.support.crypto_rig import a_rig

DEPTHS = (1, 2, 3, 4, 5)
CONFIRMATIONS = 6
ONCE = ["FINALIZE", "LATE_CREDIT"]


@pytest.fixture
def anvil(tmp_path):
    with running_anvil(tmp_path) as chain:
        chain.mine(10)
        yield chain


@pytest.fixture
async def rig(crypto_database, anvil):
    async with a_rig(crypto_database, anvil, required_confirmations=CONFIRMATIONS) as made:
        yield made


@pytest.mark.parametrize("depth", DEPTHS)
async def test_a_transfer_that_is_reorganised_away_is_never_credited(rig, anvil, depth):
    transfer = await rig.authorize()
    anvil.pay(transfer.address, 12_500_000)
    anvil.mine(depth - 1)
    await rig.watch()
    anvil.reorg(depth)
    await rig.watch()
    orphaned = await rig.now(transfer)
    anvil.mine(2 * CONFIRMATIONS)

    await rig.watch()

    assert State.ORPHANED is orphaned.state
    assert State.ORPHANED is (await rig.now(transfer)).state
    assert [] == await rig.told(transfer)


@pytest.mark.parametrize("depth", DEPTHS)
async def test_a_transfer_that_is_mined_again_keeps_its_identity(rig, anvil, depth):
    transfer = await rig.authorize()
    tx_hash = anvil.pay(transfer.address, 12_500_000)
    raw = anvil.raw(tx_hash)
    anvil.mine(depth - 1)
    await rig.watch()
    before = await rig.now(transfer)
    anvil.reorg(depth, [(raw, depth - 1)])
    await rig.watch()
    again = await rig.now(transfer)
    anvil.mine(2 * CONFIRMATIONS)
    await rig.watch()

    credited = await rig.now(transfer)
    actions = await rig.actions(transfer)
    assert f"{tx_hash}:0" == before.reference == again.reference == credited.reference
    assert before.sighting.block_hash != again.sighting.block_hash
    assert State.CREDITED is credited.state
    assert ONCE == [action for action in actions if action in ONCE]
    assert 1 == len(await rig.told(transfer))
    assert [] == (await rig.verify()).findings


async def test_a_customer_may_pay_again_after_a_reorganisation(rig, anvil):
    transfer = await rig.authorize()
    first = anvil.pay(transfer.address, 12_500_000)
    await rig.watch()
    anvil.reorg(1)
    await rig.watch()
    second = anvil.pay(transfer.address, 12_500_000)
    anvil.mine(CONFIRMATIONS)

    await rig.watch()

    credited = await rig.now(transfer)
    assert State.CREDITED is credited.state
    assert f"{second}:0" == credited.reference
    assert first != second or credited.sighting.in_chain


async def test_a_transfer_that_vanishes_right_before_it_is_final_is_not(rig, anvil):
    """It was read deep enough, and the node has forgotten it when it is asked again."""
    transfer = await rig.authorize()
    anvil.pay(transfer.address, 12_500_000)
    anvil.mine(CONFIRMATIONS - 1)
    await rig.watch()
    anvil.mine(1)
    watcher = rig.watcher
    await follow_chain(
        watcher.endpoints[0], watcher.record, watcher.book, watcher.watch, watcher.clock
    )
    anvil.reorg(CONFIRMATIONS + 1)

    await advance_transfers(
        watcher.book, watcher.record, watcher.endpoints, watcher.accounts, anvil.caip2,
        watcher.clock,
    )  # fmt: skip
    before_reading = await rig.now(transfer)
    await rig.watch()

    assert State.CONFIRMING is before_reading.state
    assert State.ORPHANED is (await rig.now(transfer)).state
    assert [] == await rig.told(transfer)


async def test_a_reorganisation_behind_finality_is_an_incident_on_record(rig, anvil):
    transfer = await rig.authorize()
    await rig.pay_through(transfer)
    anvil.reorg(CONFIRMATIONS + 1)

    await rig.watch()

    assert State.CREDITED is (await rig.now(transfer)).state
    assert "FINALITY_BROKEN" == (await rig.actions(transfer))[-1]
    assert 1 == len(await rig.told(transfer))


async def test_a_node_that_lost_its_newest_blocks_finalises_nothing(rig, anvil):
    transfer = await rig.authorize()
    anvil.pay(transfer.address, 12_500_000)
    anvil.mine(CONFIRMATIONS - 1)
    await rig.watch()
    anvil.rpc("anvil_rollback", 2)

    await rig.watch()

    assert State.CONFIRMING is (await rig.now(transfer)).state


async def test_another_chain_than_the_one_on_record_stops_the_watcher(rig, anvil, tmp_path):
    await rig.watch()
    other = tmp_path / "other"
    other.mkdir()
    # Two that start within one second would have their first block in common.
    with running_anvil(other, "--timestamp", "1700000000") as foreign:
        foreign.mine(20)
        rig.endpoints[0] = foreign.endpoint()

        with pytest.raises(WrongChain, match="another chain"):
            await rig.watcher.step()
        await rig.endpoints[0].close()
