"""What a running gateway has of its accounts: no change needs a restart or cuts off an answer."""

import pytest

from cashier_common.settings import SettingsRefused
from cashier_gateway.flows.refresh_accounts import RETIRE_AFTER_S, Terminals, Wiring
from tests.support.gateway_accounts import applied, registry, rows, service
from tests.unit.test_gateway_account import an_account

__all__ = ["registry", "rows", "service"]


class Adapter:
    """Stands for any adapter: what was made, from what, and whether it was closed."""

    def __init__(self, account, wiring):
        self.account, self.wiring, self.closed = account, wiring, False

    async def close(self):
        self.closed = True


class Hands:
    """A clock that a test moves."""

    def __init__(self):
        self.at_s = 0.0

    def monotonic(self):
        return self.at_s


class Secrets(dict[str, str]):
    """What credentials stand for; one that is not there is refused as a missing variable is."""

    def wire(self, account):
        if account.credential not in self:
            raise SettingsRefused(f"credential of {account.account_id} names nothing")
        return Wiring(account.base_url, self[account.credential], ())


@pytest.fixture
def stand(registry):
    class Stand:
        clock, secrets = Hands(), Secrets({"env:X": "x", "env:Y": "y"})
        terminals = Terminals(registry, secrets.wire, Adapter, clock)

    return Stand


async def test_fees_limits_and_states_change_without_a_new_connection(registry, stand):
    await applied(registry, an_account())
    await stand.terminals.refresh()
    before = stand.terminals["one"]

    await applied(registry, an_account(state="DRAINING", limits={"EUR": {"max": 5}}))
    changed = await stand.terminals.refresh()
    after = stand.terminals["one"]

    assert (1, "DRAINING", 5) == (changed, after.account.state, after.account.limits["EUR"].max)
    assert before.processor is after.processor
    assert 0 == await stand.terminals.refresh()


@pytest.mark.parametrize(
    "change", [{"timeout_s": 3}, {"base_url": "http://127.0.0.1:2"}, {"credential": "env:Y"}]
)
async def test_another_address_key_or_patience_makes_a_new_adapter(registry, stand, change):
    """The old one still waits for answers: it is closed when nothing can be under way on it."""
    await applied(registry, an_account())
    await stand.terminals.refresh()
    old = stand.terminals["one"].processor

    await applied(registry, an_account(**change))
    await stand.terminals.refresh()
    new = stand.terminals["one"].processor

    assert old is not new
    assert not old.closed
    stand.clock.at_s = RETIRE_AFTER_S + 1
    await stand.terminals.refresh()
    assert old.closed
    assert not new.closed
    await stand.terminals.close()
    assert new.closed


async def test_a_secret_that_was_rotated_in_place_is_taken_up(registry, stand):
    await applied(registry, an_account())
    await stand.terminals.refresh()

    stand.secrets["env:X"] = "rotated"
    await stand.terminals.refresh()

    assert "rotated" == stand.terminals["one"].processor.wiring.credential


async def test_an_account_that_cannot_be_used_stops_no_other_one(registry, stand, rows):
    await applied(registry, an_account(), an_account(account_id="two", credential="env:GONE"))
    await stand.terminals.refresh()
    assert ["one"] == list(stand.terminals)

    await applied(registry, an_account(credential="env:GONE", state="DISABLED"))
    await stand.terminals.refresh()
    unreadable = "UPDATE processor_accounts SET version = 9, document = document || '{\"new\": 1}'"
    await rows.execute(f"{unreadable} WHERE account_id = 'one'")
    await stand.terminals.refresh()

    assert "DISABLED" == stand.terminals["one"].account.state
    assert "x" == stand.terminals["one"].processor.wiring.credential
