"""Money at the processors beside what our books say: the invariants of any run, with any faults."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cashier.payments.v1 import payment_pb2
from cashier_mesh.supervisor import Mesh
from tests.support.mesh_client import MERCHANTS, MeshClient
from tests.support.processors import Move, Processors, Trace, place_of

Payment = payment_pb2.Payment
Operation = payment_pb2.Operation
# A second rail opens after these and after nothing else (money-safety.md, section 2).
OPENS_NEXT_RAIL = frozenset(
    {Operation.STATE_NOT_SENT, Operation.STATE_DECLINED_SOFT, Operation.STATE_NOT_FOUND}
)
CLOSED = OPENS_NEXT_RAIL | {Operation.STATE_DECLINED_HARD, Operation.STATE_EXPIRED}
MOVING = frozenset({Payment.STATE_PROCESSING})
PRIMARY = frozenset({Operation.KIND_AUTHORIZE, Operation.KIND_PAYOUT})
TAKES = frozenset({Operation.KIND_AUTHORIZE, Operation.KIND_CAPTURE})
GIVES = frozenset({Operation.KIND_REFUND, Operation.KIND_PAYOUT})


@dataclass(frozen=True)
class Violation:
    """One invariant that does not hold, and the payment or charge that shows it."""

    rule: str
    about: str
    detail: str


async def violations(mesh: Mesh, merchants: Sequence[str] = MERCHANTS) -> set[Violation]:
    """What is wrong now: everything that the processors keep against every payment we list.

    Ask when nothing is under way: a payment that still moves is a violation of its own.
    """
    async with MeshClient(mesh, "operator") as client, Processors(mesh) as processors:
        moves = await processors.moves()
        traces = await processors.traces()
        payments = [p for merchant in merchants for p in await client.all_of(merchant)]
    return check(payments, moves, traces)


def check(
    payments: Iterable[Payment], moves: Iterable[Move], traces: Iterable[Trace] = ()
) -> set[Violation]:
    """The violations among payments, movements of money, and anything kept at processors."""
    known = {payment.name: payment for payment in payments}
    moved: dict[str, list[Move]] = defaultdict(list)
    found: set[Violation] = set()
    for move in moves:
        name, _, number = move.operation.partition("/operations/")
        if name not in known or not _operation(known[name], number):
            told = move.operation or "no operation"
            found.add(_broken("CHARGE_UNKNOWN", move.move_id, f"{move.place} told {told}"))
        else:
            moved[name].append(move)
    reached = {trace.operation.partition("/operations/")[0] for trace in traces}
    for payment in known.values():
        found |= _of_payment(payment, moved[payment.name], reached)
    return found


def _of_payment(payment: Payment, moves: list[Move], reached: set[str]) -> set[Violation]:
    found: set[Violation] = set()
    charges = {move.move_id for move in moves if move.minor > 0}
    tries = [o for o in payment.operations if o.kind in PRIMARY]
    takes_at_once = payment.capture_method == payment_pb2.CAPTURE_METHOD_AUTOMATIC
    if takes_at_once and len(charges) > 1:
        found.add(_broken("CHARGED_TWICE", payment.name, ", ".join(sorted(charges))))
    asset = payment.amount.asset_code
    others = sorted({move.asset for move in moves} - {asset})
    if others:
        found.add(_broken("OTHER_ASSET", payment.name, ", ".join(others)))
    booked = payment.captured_amount.minor
    taken = sum(move.minor for move in moves if move.asset == asset and move.minor > 0)
    if payment.direction == Payment.DIRECTION_PAYOUT:
        booked = 0
    given_back_late = _late_successes(payment)
    if taken != booked + given_back_late:
        detail = f"booked {booked} {asset}, taken {taken}"
        found.add(_broken("CAPTURED_DIFFERS", payment.name, detail))
    for operation in payment.operations:
        found |= _of_operation(payment, operation, moves)
    if any(o.state not in OPENS_NEXT_RAIL for o in tries[:-1]):
        found.add(_broken("SECOND_RAIL_TOO_EARLY", payment.name, str(len(tries))))
    if payment.state == Payment.STATE_REJECTED and payment.name in reached:
        found.add(_broken("REJECTED_REACHED_A_RAIL", payment.name, ""))
    if payment.state in MOVING:
        found.add(_broken("STILL_MOVING", payment.name, f"in doubt: {payment.in_doubt}"))
    return found | _bounds(payment)


def _of_operation(payment: Payment, operation: Operation, moves: list[Move]) -> set[Violation]:
    """What one operation moved at the processor, beside what its state says."""
    found: set[Violation] = set()
    mine = [move for move in moves if move.operation == operation.name]
    ids = {move.move_id for move in mine}
    if len(ids) > 1:
        found.add(_broken("MOVED_TWICE", operation.name, ", ".join(sorted(ids))))
    if any(place_of(operation.processor_account) != move.place for move in mine):
        found.add(_broken("OTHER_ACCOUNT", payment.name, f"moved at {mine[0].place}"))
    moved = sum(move.minor for move in mine)
    expected = _expected(operation)
    if moved != expected and operation.kind in GIVES:
        told = f"{Operation.State.Name(operation.state)}: {expected}, moved {moved}"
        found.add(_broken("MOVED_DIFFERS", operation.name, told))
    return found


def _expected(operation: Operation) -> int:
    """The signed amount that a processor has moved for an operation in this state."""
    if operation.state != Operation.STATE_SUCCEEDED:
        return 0
    if operation.kind in GIVES:
        return -operation.amount.minor
    return operation.amount.minor


def _bounds(payment: Payment) -> set[Violation]:
    """refunded + disputed ≤ captured ≤ authorized."""
    back = payment.refunded_amount.minor + payment.disputed_amount.minor
    taken, held = payment.captured_amount.minor, payment.authorized_amount.minor
    if back <= taken <= held:
        return set()
    return {_broken("OUT_OF_BOUNDS", payment.name, f"{back} of {taken} of {held}")}


def _late_successes(payment: Payment) -> int:
    """What was taken although we had said no, and given back by a reversal of ours."""
    closed = {o.name for o in payment.operations if o.kind in TAKES and o.state in CLOSED}
    return sum(
        o.amount.minor
        for o in payment.operations
        if o.kind == Operation.KIND_REVERSAL and o.target in closed
    )


def _operation(payment: Payment, number: str) -> Operation | None:
    name = f"{payment.name}/operations/{number}"
    return next((o for o in payment.operations if o.name == name), None)


def _broken(rule: str, about: str, detail: str) -> Violation:
    return Violation(rule, about, detail)
