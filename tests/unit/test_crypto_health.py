"""An account on a chain is as well as the worst of its nodes; every question counts."""

import pytest

from cashier_common.clock import SystemClock
from cashier_common.health.breaker import State
from cashier_common.health.monitor import Monitor
from cashier_common.health.reading import Reading
from cashier_common.health.tally import Result
from cashier_crypto.clients.evm import EvmEndpoint
from cashier_crypto.domain.errors import ChainUnavailable
from cashier_crypto.domain.health import of_accounts
from cashier_crypto.rpc.health_codec import health_to_proto


def a_node(name: str, weight_ppm: int) -> Reading:
    return Reading(name, "", weight_ppm, State.CLOSED, is_shared=True)


def test_an_account_is_as_well_as_its_worst_node():
    nodes = [a_node("good:1", 1_000_000), a_node("ill:1", 300_000)]

    told = of_accounts(["evm-usdc", "evm-dai"], nodes)

    assert [("evm-usdc", 300_000), ("evm-dai", 300_000)] == [(r.scope, r.weight_ppm) for r in told]
    assert [] == of_accounts(["evm-usdc"], [])


async def test_a_node_that_refuses_is_counted_and_told_as_its_accounts():
    clock = SystemClock()
    monitor = Monitor("crypto", clock, None)
    endpoint = EvmEndpoint.at("http://127.0.0.1:1", chain="eip155:31337", monitor=monitor)

    for _ in range(12):
        with pytest.raises(ChainUnavailable):
            await endpoint.head()
    await monitor.turn()
    await monitor.turn()

    [detail] = monitor.details()
    assert 12 == detail.counts[Result.FAILED]
    assert State.OPEN is detail.breaker.state
    [account] = health_to_proto(["evm-usdc"], [detail], clock.now()).accounts
    assert ("evm-usdc", 12, 0) == (
        account.processor_account, account.technical_failure_count, account.weight_ppm,
    )  # fmt: skip
    await endpoint.close()
