"""A deposit is final when both endpoints show it, and expires by the chain's own clock."""

from dataclasses import replace

import pytest

from cashier_crypto.domain.errors import ChainUnavailable
from cashier_crypto.domain.lifecycle import State
from cashier_crypto.domain.outcome import Verdict
from tests.support.crypto_chain import InProcessChain
from tests.support.crypto_deposits import chain, rig, service
from tests.support.crypto_rig import CONFIRMATIONS, a_rig

__all__ = ["chain", "rig", "service"]


@pytest.fixture
async def rig_of_its_own(service):
    """On a chain whose clock may be moved."""
    async with a_rig(service, InProcessChain()) as made:
        yield made


async def test_an_unpaid_deposit_expires_by_the_chains_own_clock(rig_of_its_own):
    rig = rig_of_its_own
    transfer = await rig.authorize()
    far = int(transfer.expire_at.timestamp()) + 10
    rig.chain.tester.time_travel(far)  # mines a block with that time
    rig.chain.mine(CONFIRMATIONS - 1)
    await rig.watch()
    early = await rig.now(transfer)
    rig.chain.mine(1)

    await rig.watch()

    assert State.AWAITED is early.state
    assert State.EXPIRED is (await rig.now(transfer)).state
    assert [Verdict.EXPIRED] == [outcome.verdict for outcome in await rig.told(transfer)]
    assert Verdict.NOT_FOUND is (await rig.look_up(transfer, close_door=True)).verdict


class Lying:
    """An endpoint that answers as another one does, except where it lies."""

    def __init__(self, honest, **lies):
        self._honest, self._lies = honest, lies

    def __getattr__(self, name):
        return self._lies.get(name) or getattr(self._honest, name)


async def test_nothing_is_final_while_the_second_endpoint_lags(rig):
    transfer = await rig.authorize()
    honest = rig.endpoints[1]

    async def old_head():
        head = await honest.head()
        return replace(head, number=head.number - 1)

    rig.endpoints[1] = Lying(honest, head=old_head, name="two")
    rig.chain.pay(transfer.address, 12_500_000)
    rig.chain.mine(CONFIRMATIONS)
    await rig.watch()
    before = await rig.now(transfer)
    rig.chain.mine(1)
    await rig.watch()

    assert State.CONFIRMING is before.state
    assert State.CREDITED is (await rig.now(transfer)).state


@pytest.mark.parametrize("lie", ["absent", "amount", "block", "silent"])
async def test_nothing_is_final_that_the_second_endpoint_shows_differently(rig, lie):
    transfer = await rig.authorize()
    honest = rig.endpoints[1]

    async def receipt(tx_hash):
        found = await honest.receipt(tx_hash)
        if lie == "silent":
            raise ChainUnavailable("two is away")
        if lie == "absent":
            return None
        if lie == "block":
            return replace(found, block_hash="0x" + "00" * 32)
        return replace(
            found, transfers={k: replace(log, units=1) for k, log in found.transfers.items()}
        )

    rig.endpoints[1] = Lying(honest, receipt=receipt, name="two")

    await rig.pay_through(transfer)

    assert State.CONFIRMING is (await rig.now(transfer)).state
    assert [] == await rig.told(transfer)
