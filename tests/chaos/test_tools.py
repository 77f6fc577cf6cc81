"""The tools of the chaos run do what they say: a plan repeats, a wire takes what it should."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from cashier.payments.v1 import payment_pb2
from cashier_common.ids import payment_name
from cashier_mesh.unit import Seat
from tests.chaos.callers import Memory, Wish
from tests.chaos.ground import ACCOUNTS, WIRES
from tests.chaos.plan import Harm, plan
from tests.chaos.proof import broken_promises, unfinished
from tests.chaos.proxy import LOOPBACK, Mood, Weather, Wires
from tests.support.mesh_client import MERCHANT, Payment

SEATS = [
    Seat(service, role, number)
    for service, count in (("risk", 1), ("gateway", 2), ("crypto", 1), ("router", 2), ("recon", 1))
    for role in ("serve", "work")
    for number in range(1, count + 1)
]
HEARD_WITHIN_S = 0.3


def a_plan(seed: int, length_s: float = 24.0):
    return plan(seed, length_s, seats=SEATS, wires=WIRES, accounts=ACCOUNTS)


def test_a_seed_makes_one_plan_and_another_seed_another():
    assert a_plan(7) == a_plan(7)
    assert a_plan(7) != a_plan(8)


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_of_fault_comes_in_a_short_run_and_ends_with_it(seed):
    faults = a_plan(seed)

    assert set(Harm) == {fault.harm for fault in faults}
    assert max(fault.at_s + fault.for_s for fault in faults) <= 24.0 + 1e-6
    assert len(a_plan(seed, 240.0)) == 5 * len(faults)


@pytest.fixture
def wires() -> Iterator[Wires]:
    with Wires(("line",), seed=1) as made:
        yield made


@pytest.fixture
async def heard(wires: Wires) -> AsyncIterator[list[bytes]]:
    """What arrives at the far end, which answers each piece with `yes`."""
    pieces: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(100):
            pieces.append(piece)
            writer.write(b"yes")
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    wires["line"].upstream_port = server.sockets[0].getsockname()[1]
    yield pieces
    server.close()


async def ask(wires: Wires) -> bytes | str:
    """The answer that comes through the line, or what became of it."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, wires["line"].port)
    except ConnectionRefusedError:
        return "refused"
    writer.write(b"pay")
    try:
        return await asyncio.wait_for(reader.read(100), HEARD_WITHIN_S)
    except TimeoutError:
        return "nothing"
    except ConnectionError:
        return "reset"
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("mood", "told", "arrived"),
    [
        (Mood.PASS, b"yes", [b"pay"]),
        (Mood.REFUSE, "refused", []),
        (Mood.CUT_BEFORE, "reset", []),
        (Mood.CUT_AFTER, "reset", [b"pay"]),
        (Mood.SILENT, "nothing", []),
        (Mood.DEAF, "nothing", [b"pay"]),
    ],
)
async def test_a_wire_takes_what_its_mood_says(wires, heard, mood, told, arrived):
    wires.change("line", Weather(mood))

    assert (told, arrived) == (await ask(wires), heard)
    wires.clear()
    assert b"yes" == await ask(wires)


def paid(key: str, *states: "payment_pb2.Operation.State.ValueType") -> Payment:
    payment = Payment(name=payment_name(MERCHANT, key))
    for number, state in enumerate(states, start=1):
        name = f"{payment.name}/operations/{number}"
        payment.operations.add(name=name, state=state, kind=payment_pb2.Operation.KIND_REFUND)
    return payment


def test_what_callers_were_told_is_held_against_what_is():
    done, doubt = payment_pb2.Operation.STATE_SUCCEEDED, payment_pb2.Operation.STATE_IN_DOUBT
    wishes = {key: Wish("CreatePayment", "", 0) for key in ("kept", "gone", "other", "undone")}
    told = {key: [paid(key, done)] for key in ("kept", "gone", "undone")}
    memory = Memory(wishes, told | {"other": [paid("kept", done)]})
    now = [paid("kept", done), paid("undone", doubt), paid("other")]

    found = {violation.rule for violation in broken_promises(now, memory)}

    assert {"PROMISE_LOST", "OTHER_PAYMENT", "TAKEN_BACK", "NOBODY_WISHED"} == found
    assert {"STUCK"} == {violation.rule for violation in unfinished(now)}
