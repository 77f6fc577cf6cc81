"""Payments while everything around them breaks; then every invariant against the ledgers.

README.md beside this file says what is broken, and how a failing seed is run again.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from cashier.payments.v1 import payment_pb2
from tests.chaos import proof, record
from tests.chaos.callers import Callers, Memory
from tests.chaos.ground import ACCOUNTS, WIRES, Ground, chaos_ground
from tests.chaos.plan import plan
from tests.chaos.stories import Story
from tests.chaos.trouble import Trouble
from tests.support.crashes import insistently, reach
from tests.support.invariants import Violation, violations
from tests.support.mesh_client import MeshClient, Payment, a_key, a_payment
from tests.support.processors import Processors
from tests.support.seed import SEED_VARIABLE
from tests.support.waiting import until

# A mesh may take a minute to start on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BRIEF_S, LONG_S = 10.0, 240.0
LANES = 32  # stories at a time
SETTLE_S = 60.0
ENOUGH = 500  # payments, for the long run
HANDS = 24  # faults that wait in threads
ABLATED = 3  # payments of each kind: one would do
HELD_S = 4
LOOK_S = 0.5
TELLING = (
    "call_resumed", "stalled_owner_wrote_nothing", "outcome_not_recorded", "look_up_unanswered",
    "incident", "call_failed", "worker_failed",
)  # fmt: skip


@pytest.fixture(scope="module")
def seed() -> int:
    """The run's: TEST_SEED=… makes the same plan and the same stories."""
    return int(os.environ[SEED_VARIABLE])


@pytest.fixture(scope="module")
def ground(seed: int) -> Iterator[Ground]:
    """The mesh that is broken; the ablations use it after the chaos."""
    with chaos_ground(seed) as running:
        yield running


@pytest.fixture
async def trouble(ground: Ground) -> AsyncIterator[Trouble]:
    """What breaks it, and leaves it whole."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(HANDS))
    async with Trouble(ground) as hand:
        yield hand


async def test_no_payment_is_lost_or_made_twice_whatever_breaks(ground, trouble, seed):
    await _chaos(ground, trouble, seed, BRIEF_S)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_thousands_of_payments_survive_minutes_of_chaos(ground, trouble, seed):
    told = await _chaos(ground, trouble, seed, float(os.environ.get("CHAOS_S", LONG_S)))

    assert len(told) >= ENOUGH


async def _chaos(ground: Ground, trouble: Trouble, seed: int, length_s: float) -> list[Payment]:
    faults = plan(seed, length_s, seats=ground.seats, wires=WIRES, accounts=ACCOUNTS)
    print(f"{SEED_VARIABLE}={seed}", *faults, sep="\n")
    memory = Memory()
    async with Callers(ground.mesh, memory) as callers:
        over = asyncio.Event()
        numbers = iter(range(1_000_000))
        lanes = [asyncio.create_task(_lane(seed, numbers, callers, over)) for _ in range(LANES)]
        try:
            await trouble.make(faults)
        finally:
            over.set()
        await asyncio.gather(*lanes)
    payments, waited_s = await proof.rested(ground.mesh, SETTLE_S)
    _report(payments, memory, ground, trouble, waited_s)
    notices = await trouble.notices()
    print(f"webhooks since the sandbox's last start: {dict(notices)}")

    assert set() == await _everything_wrong(ground, payments, memory)
    assert [] == memory.faults
    assert 0 == notices["falsely_taken"]
    assert {str(fault.harm) for fault in faults} == set(trouble.done)
    return payments


async def _lane(seed, numbers, callers, over):
    while not over.is_set():
        await Story(seed, next(numbers), callers).tell()


async def _everything_wrong(
    ground: Ground, payments: Sequence[Payment], memory: Memory
) -> set[Violation]:
    mesh = ground.mesh
    return (
        await violations(mesh)
        | proof.unfinished(payments)
        | proof.broken_promises(payments, memory)
        | await proof.holds_unknown(mesh, payments)
        | await proof.heard(lambda: proof.books_differ(mesh, payments))
        | await proof.heard(lambda: record.broken_records(mesh))
        | await proof.heard(lambda: record.illegal_steps(mesh, payments))
    )


def _report(
    payments: Sequence[Payment], memory: Memory, ground: Ground, trouble: Trouble, waited_s: float
) -> None:
    """What happened at all: a run in which nothing broke proves nothing."""
    states = Counter(payment_pb2.Payment.State.Name(p.state)[6:] for p in payments)
    operation = payment_pb2.Operation
    kinds = Counter(
        f"{operation.Kind.Name(o.kind)[5:]} {operation.State.Name(o.state)[6:]}"
        for p in payments
        for o in p.operations
    )
    print(
        f"{len(payments)} payments {dict(states)}",
        f"operations: {dict(kinds)}",
        f"callers heard: {dict(memory.trouble)}; refused: {Counter(memory.refused.values())}",
        f"faults: {dict(trouble.done)}; connections: {dict(ground.wires.harmed)}",
        f"the services said: {dict(_said(ground))}",
        f"at rest {waited_s:.1f} s after the last fault",
        sep="\n",
    )


def _said(ground: Ground) -> Counter[str]:
    """How often the services' logs tell of what chaos is about."""
    texts = [log.read_text(errors="replace") for log in ground.mesh.logs.glob("*.log")]
    return Counter({word: sum(text.count(f'"{word}"') for text in texts) for word in TELLING})


@pytest.mark.long
async def test_with_everything_on_the_same_payments_are_charged_once(ground, trouble):
    """What the ablations below use, and no violation: it is the gate and the tombstone."""
    await ground.ablate()

    lost, held, before = await _doubtful(ground)

    await _ended_once(ground, lost + held)
    assert set() == await violations(ground.mesh) - before


@pytest.mark.long
async def test_without_the_gate_the_checker_finds_double_charges(ground, trouble):
    """What was held back is charged once still: its door was closed before it came."""
    await ground.ablate(router=("no_gate",))

    lost, held, before = await _doubtful(ground)

    await _found_twice(ground, lost, before)
    await _ended_once(ground, held)


@pytest.mark.long
async def test_without_the_tombstone_as_well_the_checker_finds_more(ground, trouble):
    await ground.ablate(router=("no_gate",), gateway=("no_tombstone",))

    lost, held, before = await _doubtful(ground)

    await _found_twice(ground, lost + held, before)


async def _doubtful(ground: Ground) -> tuple[list[str], list[str], set[Violation]]:
    """Payments whose first rail charges and does not say so, or charges late; violations before."""
    mesh = ground.mesh
    before = await violations(mesh)
    async with MeshClient(mesh) as checkout:
        await reach(checkout)
        calls = [
            insistently(checkout, a_payment(ACCOUNTS[0], token, sandbox_global="tok_ok"), a_key())
            for token in ("tok_lost_answer", f"tok_held_{HELD_S}")
            for _ in range(ABLATED)
        ]
        names = [answer.payment.name for answer in await asyncio.gather(*calls)]
    return names[:ABLATED], names[ABLATED:], before


async def _ended_once(ground: Ground, names: Sequence[str]) -> None:
    async with MeshClient(ground.mesh) as checkout:
        ended, _ = await asyncio.gather(
            until(lambda: _at_rest(checkout, names)),
            asyncio.sleep(HELD_S),  # what was held comes by then, and finds its door closed
        )
    async with Processors(ground.mesh) as processors:
        moves = await processors.moves_of(*names)
    assert {Payment.STATE_SUCCEEDED} == {payment.state for payment in ended}
    assert dict.fromkeys(names, 1) == Counter(m.operation.split("/operations/")[0] for m in moves)


async def _found_twice(ground: Ground, names: Sequence[str], before: set[Violation]) -> None:
    async def charged_twice() -> bool:
        found = await violations(ground.mesh) - before
        return set(names) <= {v.about for v in found if v.rule == "CHARGED_TWICE"}

    await until(charged_twice, every_s=LOOK_S)
    async with Processors(ground.mesh) as processors:
        moves = await processors.moves_of(*names)
    assert {name: set(ACCOUNTS[:2]) for name in names} == {
        name: {move.place for move in moves if move.operation.startswith(f"{name}/")}
        for name in names
    }


async def _at_rest(checkout: MeshClient, names: Sequence[str]) -> list[Payment] | None:
    found = [await checkout.get(name) for name in names]
    moving = any(payment.state == Payment.STATE_PROCESSING for payment in found)
    return None if moving else found
