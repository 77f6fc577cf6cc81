"""Money at the processors beside what our books say: the invariants of any run, with any faults."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cashier.payments.v1 import payment_pb2
from cashier_mesh.supervisor import Mesh
from tests.support.mesh_client import MERCHANTS, MeshClient
from tests.support.processors import Charge, Processors, Trace, place_of

Payment = payment_pb2.Payment
Operation = payment_pb2.Operation
# A second rail opens after these and after nothing else (money-safety.md, section 2).
OPENS_NEXT_RAIL = frozenset(
    {Operation.STATE_NOT_SENT, Operation.STATE_DECLINED_SOFT, Operation.STATE_NOT_FOUND}
)
MOVING = frozenset({Payment.STATE_PROCESSING})


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
        charges = await processors.charges()
        traces = await processors.traces()
        payments = [p for merchant in merchants for p in await client.all_of(merchant)]
    return check(payments, charges, traces)


def check(
    payments: Iterable[Payment], charges: Iterable[Charge], traces: Iterable[Trace] = ()
) -> set[Violation]:
    """The violations among payments, charges that took money, and anything kept at processors."""
    known = {payment.name: payment for payment in payments}
    charged: dict[str, list[Charge]] = defaultdict(list)
    found: set[Violation] = set()
    for charge in charges:
        name, _, number = charge.operation.partition("/operations/")
        if name not in known or not _operation(known[name], number):
            told = charge.operation or "no operation"
            found.add(_broken("CHARGE_UNKNOWN", charge.charge_id, f"{charge.place} told {told}"))
        else:
            charged[name].append(charge)
    reached = {trace.operation.partition("/operations/")[0] for trace in traces}
    for payment in known.values():
        found |= _of_payment(payment, charged[payment.name], reached)
    return found


def _of_payment(payment: Payment, charges: list[Charge], reached: set[str]) -> set[Violation]:
    found: set[Violation] = set()
    ids = {charge.charge_id for charge in charges}
    if len(ids) > 1:
        found.add(_broken("CHARGED_TWICE", payment.name, ", ".join(sorted(ids))))
    asset, booked = payment.amount.asset_code, payment.captured_amount.minor
    taken = sum(charge.minor for charge in charges if charge.asset == asset)
    if taken != booked:
        detail = f"booked {booked} {asset}, taken {taken}"
        found.add(_broken("CAPTURED_DIFFERS", payment.name, detail))
    others = sorted({charge.asset for charge in charges} - {asset})
    if others:
        found.add(_broken("OTHER_ASSET", payment.name, ", ".join(others)))
    for charge in charges:
        operation = _operation(payment, charge.operation.partition("/operations/")[2])
        if operation and place_of(operation.processor_account) != charge.place:
            found.add(_broken("OTHER_ACCOUNT", payment.name, f"charged at {charge.place}"))
    if any(o.state not in OPENS_NEXT_RAIL for o in payment.operations[:-1]):
        found.add(_broken("SECOND_RAIL_TOO_EARLY", payment.name, str(len(payment.operations))))
    if payment.state == Payment.STATE_REJECTED and payment.name in reached:
        found.add(_broken("REJECTED_REACHED_A_RAIL", payment.name, ""))
    if payment.state in MOVING:
        found.add(_broken("STILL_MOVING", payment.name, f"in doubt: {payment.in_doubt}"))
    return found


def _operation(payment: Payment, number: str) -> Operation | None:
    name = f"{payment.name}/operations/{number}"
    return next((o for o in payment.operations if o.name == name), None)


def _broken(rule: str, about: str, detail: str) -> Violation:
    return Violation(rule, about, detail)
