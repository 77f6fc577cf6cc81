"""The gateway at the sandbox's dLocal: codes that wait, and a payer whom no row remembers."""

from collections.abc import Iterator

import pytest

from cashier_common.errors import FieldRequired
from cashier_common.money import Money
from cashier_gateway.app import ADAPTERS
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Command, Kind, Request
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.domain.payer import Payer
from cashier_gateway.flows.ports import Terminal
from cashier_mesh.databases import ServiceDatabase
from tests.support.dlocal_client import (
    ACCOUNT,
    CLIENT,
    CLIENT_SECRET,
    SECRET,
    TRANS_KEY,
    running_dlocal,
)
from tests.support.gateway_rig import ABLE, MERCHANT, an_operation
from tests.support.gateway_webhooks import hooks
from tests.support.postgres_fixture import Copies, postgres
from tests.support.sandbox_notices import happens, moved, told_late, until

__all__ = ["hooks", "postgres"]
PAYER = Payer("Maria Silva", "maria@example.com", "529.982.247-25")
NAUGHTY = {"double_ppm": 1_000_000, "scatter_ms": 200, "forge_ppm": 1_000_000}
EXPIRED = {"outcome": "decline", "code": "expired"}


@pytest.fixture(scope="module")
def service(copies: Copies) -> Iterator[ServiceDatabase]:
    database = copies.of("gateway")
    yield database
    copies.drop(database)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_dlocal(tmp_path_factory.mktemp("dlocal")) as running:
        yield running


@pytest.fixture
async def rig(hooks, sandbox):
    """The gateway before the account, told of everything twice, forged and out of order."""
    facts = {
        "account_id": ACCOUNT, "processor": "dlocal", "merchant_account": ACCOUNT,
        "base_url": f"http://127.0.0.1:{sandbox.ports[ACCOUNT]}",
        "credential": f"test:{TRANS_KEY}:{SECRET}:{CLIENT}:{CLIENT_SECRET}",
        "webhook_secrets": [f"test:{SECRET}"], "honours_idempotency_keys": True,
        "methods": ["CARD", "PIX", "VOUCHER"], "assets": ["BRL", "MXN"],
        "fees": {"version": "v1", "percent_bps": 320}, "settlement_lag_days": 3,
        "capabilities": ABLE, "payer_required": True,
    }  # fmt: skip
    account = ProcessorAccount.model_validate(facts)
    processor = ADAPTERS["dlocal"](
        account, base_url=account.base_url, credential=account.credential.removeprefix("test:"),
        webhook_secrets=(SECRET,),
    )  # fmt: skip
    hooks.rig.terminals[ACCOUNT] = Terminal(account, processor)
    url = f"http://127.0.0.1:{hooks.runner.addresses[0][1]}/webhooks/{ACCOUNT}"
    async with sandbox.control() as control:
        await control.post("/control/reset", {"ledger": True})
        path = f"/control/accounts/{ACCOUNT}"
        await control.post(f"{path}/endpoints", {"url": url, "secret": SECRET})
        await control.ask("PUT", f"{path}/notices", NAUGHTY)
    return hooks.rig


def a_code(method="PIX", amount=Money(1250, "BRL"), country="BR", **changes):  # noqa: B008
    request = Request(kind=Kind.AUTHORIZE, method=method, capture=True, customer_country=country)
    told = {"payer": PAYER} | changes
    return Command(MERCHANT, an_operation(), ACCOUNT, amount, request, **told)


async def kept(rig, command):
    """What the row keeps of the payer, and everything that the database says of the operation."""
    [row] = await rig.as_owner(
        "SELECT payer, calls::text AS said FROM calls WHERE operation = $1", command.operation
    )
    steps = await rig.as_owner(
        "SELECT steps::text AS said FROM steps WHERE subject = $1", command.operation
    )
    return row["payer"], " ".join(one["said"] for one in [row, *steps])


async def test_a_pix_waits_with_its_code_and_is_paid_by_notification(rig, hooks, sandbox):
    command = a_code()

    waiting = await rig.authorize(command)
    await happens(sandbox, command, "resolve", {"outcome": "succeed"})
    paid = await until(hooks, command, lambda call: call.state is not State.ACTION_REQUIRED)

    action = waiting.outcome.action
    assert (State.ACTION_REQUIRED, "PIX_QR") == (waiting.state, action.kind)
    assert action.code.startswith("00020101")
    assert action.expire_at > waiting.created_at
    assert (State.SUCCEEDED, Money(1250, "BRL")) == (paid.state, paid.outcome.amount)
    assert paid.outcome.settlement.expected_fee == Money(40, "BRL")
    assert [1250] == await moved(sandbox, command)


async def test_a_voucher_that_expired_and_is_paid_late_is_told_and_stays_expired(
    rig, hooks, sandbox
):
    command = a_code(
        "VOUCHER", Money(25_000, "MXN"), "MX", payer=Payer("E", "e@x.mx", "GODE561231GR8")
    )

    await rig.authorize(command)
    await happens(sandbox, command, "resolve", EXPIRED)
    expired = await until(hooks, command, lambda call: call.state is not State.ACTION_REQUIRED)
    await happens(sandbox, command, "pay_late", {})
    told = await told_late(hooks, expired, lambda late: [one for one in late if one.told])

    assert State.EXPIRED is expired.state
    assert ["SUCCEEDED"] == [late.told for late in told]
    assert State.EXPIRED is (await rig.found(command)).state
    assert [25_000] == await moved(sandbox, command)


async def test_without_webhooks_the_look_up_finds_the_end(rig, sandbox):
    async with sandbox.control() as control:
        await control.ask("PUT", f"/control/accounts/{ACCOUNT}/notices", {"withhold": True})
    paid, gone = a_code(), a_code()
    for command, body in ((paid, {"outcome": "succeed"}), (gone, EXPIRED)):
        await rig.authorize(command)
        await happens(sandbox, command, "resolve", body)

    ends = [await rig.look_up(command, close_door=False) for command in (paid, gone)]

    assert [State.SUCCEEDED, State.EXPIRED] == [call.state for call in ends]


async def test_a_payer_is_kept_sealed_while_it_is_in_doubt_and_erased_with_the_outcome(
    rig, sandbox
):
    command = a_code()
    rule = {"behaviour": "lost_answer", "operation": "charge", "times": 1}
    async with sandbox.control() as control:
        await control.ask("PUT", f"/control/accounts/{ACCOUNT}/rules", {"rules": [rule]})

    doubtful = await rig.authorize(command)
    sealed, _ = await kept(rig, command)
    opened = (await rig.found(command)).payer
    found = await rig.look_up(command)
    erased, said = await kept(rig, command)

    assert (State.IN_DOUBT, State.ACTION_REQUIRED) == (doubtful.state, found.state)
    assert opened == PAYER
    assert (True, None) == (sealed is not None and b"Maria" not in sealed, erased)
    assert [] == [word for word in ("Maria", "maria@", "52998224725", "529.982") if word in said]


async def test_a_payer_of_what_stays_in_doubt_is_forgotten_after_a_day(rig, sandbox):
    command, fresh = a_code(), a_code()
    rule = {"behaviour": "lost_answer", "operation": "charge", "times": 2}
    async with sandbox.control() as control:
        await control.ask("PUT", f"/control/accounts/{ACCOUNT}/rules", {"rules": [rule]})
    for one in (command, fresh):
        await rig.authorize(one)
    await rig.as_owner(
        "UPDATE calls SET created_at = now() - interval '25 h' WHERE operation = $1",
        command.operation,
    )

    await rig.book.forget_payers()

    assert (None, True) == ((await kept(rig, command))[0], bool((await kept(rig, fresh))[0]))


async def test_without_a_document_nothing_is_written_or_sent(rig, sandbox):
    command = a_code(payer=None)

    with pytest.raises(FieldRequired) as refused:
        await rig.authorize(command)

    assert "customer.document" == refused.value.field
    assert await rig.found(command) is None
    assert [0] == await moved(sandbox, command)
