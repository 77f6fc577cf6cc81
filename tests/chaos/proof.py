"""After the faults: waits until nothing moves, then looks for everything that may not be."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cashier.payments.v1 import payment_pb2
from cashier.recon.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from cashier_common.ids import payment_name
from cashier_common.rpc.client import connect
from cashier_common.worker import OUTAGE_BACKOFF_MAX_S
from cashier_mesh.supervisor import Mesh
from tests.chaos.callers import Memory
from tests.support.invariants import Violation
from tests.support.mesh_client import MERCHANT, MeshClient, Payment
from tests.support.processors import Processors
from tests.support.whole_mesh import tls_of

Operation = payment_pb2.Operation
MOVING = frozenset(
    {Operation.STATE_CREATED, Operation.STATE_SUBMITTING, Operation.STATE_PENDING,
     Operation.STATE_IN_DOUBT, Operation.STATE_ACTION_REQUIRED}
)  # fmt: skip
FOR_PEOPLE = frozenset({Operation.STATE_MANUAL_REVIEW, Operation.STATE_CONFLICTED})
WISHED = {
    "CapturePayment": Operation.KIND_CAPTURE,
    "RefundPayment": Operation.KIND_REFUND,
}
CALL_S = 20.0
LOOK_S = 0.5
# A worker that found its database away comes back within its longest pause.
HEARD_S = OUTAGE_BACKOFF_MAX_S * 1.2 + 5.0
PAGE_MAX = 1_000


async def rested(mesh: Mesh, patience_s: float) -> tuple[list[Payment], float]:
    """Every payment once workers have nothing left to do, and how long that took.

    What still moves when patience runs out is part of the answer, and a violation.
    """
    began = time.monotonic()
    async with MeshClient(mesh) as client:
        while True:
            payments = await client.all_of(MERCHANT)
            waited_s = time.monotonic() - began
            if not any(_moves(payment) for payment in payments) or waited_s > patience_s:
                return payments, waited_s
            await asyncio.sleep(LOOK_S)


def unfinished(payments: Sequence[Payment]) -> set[Violation]:
    """Operations that are stuck, and those that only a person can end: none with honest rails."""
    found = set()
    for payment in payments:
        for operation in payment.operations:
            state = Operation.State.Name(operation.state)
            if operation.state in MOVING:
                found.add(Violation("STUCK", operation.name, state))
            if operation.state in FOR_PEOPLE:
                found.add(Violation("NEEDS_A_PERSON", operation.name, state))
            if operation.kind == Operation.KIND_REVERSAL:
                # Given back because it happened after all: "not there" was said without proof.
                found.add(Violation("REVERSED", operation.name, state))
    return found


def broken_promises(payments: Sequence[Payment], memory: Memory) -> set[Violation]:
    """What callers were told, against what is: one key, one payment, one operation, no way back."""
    known = {payment.name: payment for payment in payments}
    found = set()
    wished: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
    for key, wish in memory.wishes.items():
        if wish.method in WISHED:
            wished[wish.payment][WISHED[wish.method], wish.minor] += 1
        answers = memory.told.get(key, [])
        names = {answer.name for answer in answers} | ({wish.payment} - {""})
        if not wish.payment and names - {payment_name(MERCHANT, key)}:
            found.add(Violation("OTHER_PAYMENT", key, ", ".join(sorted(names))))
        if not names <= set(known):
            found.add(Violation("PROMISE_LOST", key, ", ".join(sorted(names - set(known)))))
        for answer in answers:
            if answer.name in known:
                found |= _taken_back(answer, known[answer.name])
    for payment in payments:
        done: Counter[tuple[int, int]] = Counter(
            (o.kind, o.amount.minor) for o in payment.operations if o.kind in WISHED.values()
        )
        # A cancellation gives back by itself, and "all that is left" has no amount of its own.
        open_ended = any(minor == 0 for _, minor in wished[payment.name])
        surplus = done - wished[payment.name]
        if surplus and not payment.cancel_requested and not open_ended:
            found.add(Violation("NOBODY_WISHED", payment.name, str(dict(surplus))))
    return found


def _taken_back(told: Payment, now: Payment) -> set[Violation]:
    """A finished operation stays finished, and what was counted stays counted."""
    found = set()
    for before, after in zip(told.operations, now.operations, strict=False):
        ended = before.state == Operation.STATE_SUCCEEDED
        if before.name != after.name or (ended and after.state != before.state):
            found.add(Violation("TAKEN_BACK", before.name, Operation.State.Name(after.state)))
    if len(told.operations) > len(now.operations):
        found.add(Violation("TAKEN_BACK", told.name, "an operation is gone"))
    for amount in ("authorized_amount", "captured_amount", "refunded_amount", "voided_amount"):
        if getattr(told, amount).minor > getattr(now, amount).minor:
            found.add(Violation("TAKEN_BACK", told.name, f"{amount} was more"))
    return found


async def holds_unknown(mesh: Mesh, payments: Sequence[Payment]) -> set[Violation]:
    """Money that a processor still holds for us although no authorization of ours says so."""
    known = {o.name: o for p in payments for o in p.operations}
    async with Processors(mesh) as processors:
        held = await processors.holds()
    return {
        Violation("HOLD_UNKNOWN", hold.operation, hold.place)
        for hold in held
        if hold.operation not in known or known[hold.operation].state != Operation.STATE_SUCCEEDED
    }


async def heard(
    look: Callable[[], Awaitable[set[Violation]]], patience_s: float = HEARD_S
) -> set[Violation]:
    """What is still wrong when the last worker must have come back; as a rule nothing, at once."""
    ends = time.monotonic() + patience_s
    while True:
        found = await look()
        if not found or time.monotonic() > ends:
            return found
        await asyncio.sleep(LOOK_S)


async def books_differ(mesh: Mesh, payments: Sequence[Payment]) -> set[Violation]:
    """Recon's ledger against the payments, and its sums, which are zero."""
    expected = {o.name: minor for p in payments for o in p.operations if (minor := _moved(p, o))}
    tls = tls_of(mesh.credentials("operator"))
    async with connect(mesh.targets["recon"].split(",")[0], tls) as channel:
        ledger: Any = ledger_service_pb2_grpc.LedgerServiceStub(channel)
        booked = await _booked(ledger)
        request = ledger_service_pb2.GetTrialBalanceRequest()
        trial = await ledger.GetTrialBalance(request, timeout=CALL_S)
    found = {Violation("UNBALANCED", s.asset_code, str(s.minor)) for s in trial.sums if s.minor}
    for name in {*expected, *booked}:
        moved, here = expected.get(name, 0), booked.get(name, 0)
        if moved != here:
            found.add(Violation("BOOKS_DIFFER", name, f"{moved} moved, {here} booked"))
    return found


async def _booked(ledger: Any) -> dict[str, int]:
    """What each operation moved at processors, by the ledger."""
    booked: dict[str, int] = defaultdict(int)
    token = ""
    while True:
        request = ledger_service_pb2.ListEntriesRequest(
            account="receivable", page_size=PAGE_MAX, page_token=token
        )
        page = await ledger.ListEntries(request, timeout=CALL_S)
        for entry in page.entries:
            booked[entry.operation] += entry.amount.minor
        token = page.next_page_token
        if not token:
            return dict(booked)


def _moved(payment: Payment, operation: Operation) -> int:
    """The signed amount that an operation moved at its processor."""
    if operation.state != Operation.STATE_SUCCEEDED:
        return 0
    if operation.kind in (Operation.KIND_REFUND, Operation.KIND_PAYOUT):
        return -operation.amount.minor
    at_once = payment.capture_method == payment_pb2.CAPTURE_METHOD_AUTOMATIC
    takes = operation.kind == Operation.KIND_CAPTURE or (
        operation.kind == Operation.KIND_AUTHORIZE and at_once
    )
    return operation.amount.minor if takes else 0


def _moves(payment: Payment) -> bool:
    moving = payment.state == payment_pb2.Payment.STATE_PROCESSING
    return moving or any(o.state in MOVING for o in payment.operations)
