"""What must be true of a world that came to rest: money-safety.md, section 7, on its ledgers."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from cashier_gateway.domain.lifecycle import CALL
from cashier_gateway.domain.lifecycle import State as CallState
from cashier_router.domain.amounts import amounts_of
from cashier_router.domain.lifecycle import (
    CLOSED,
    DOUBTFUL,
    OPENS_NEXT_RAIL,
    OPERATION,
    PRIMARY,
    UNRESOLVED,
    OperationKind,
    OperationState,
    PaymentState,
    payment_state,
)
from cashier_router.domain.payment import CANCELLATION, Direction, Operation, Payment
from tests.simulation.processor import Effect
from tests.simulation.router_book import History
from tests.simulation.world import World

K, S = OperationKind, OperationState
# What an operation of each kind leaves in a processor's ledger.
_LINES = {
    K.CAPTURE: {"capture"}, K.VOID: {"void"}, K.REFUND: {"refund"}, K.PAYOUT: {"payout"},
    K.REVERSAL: {"void", "refund"}, K.AUTHORIZE: {"hold", "charge"},
}  # fmt: skip
_STEPS = {(state, after) for (state, _), after in OPERATION.transitions.items()}
_CALL_STEPS = {(state, after) for (state, _), after in CALL.transitions.items()}
# Expected of a service whose database dies: it says INTERNAL and lets the caller ask again.
_NOBODY_KNOWS = ("CommitUnknownError", "CommitUnknown:")


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant that does not hold, and what shows it."""

    rule: str
    about: str
    detail: str


def check(world: World, *, people: bool = True) -> list[Finding]:
    """Every finding; with `people`, doubts that only a person can end are no findings."""
    return [*_findings(world, people=people)]


def _findings(world: World, *, people: bool) -> Iterator[Finding]:
    ledger: dict[str, list[Effect]] = defaultdict(list)
    for effect in world.ledger:
        ledger[effect.operation].append(effect)
    known: set[str] = set()
    for payment in world.router_tables.all():
        known |= {payment.operation_name(o.number) for o in payment.operations}
        yield from _money(payment, ledger)
        yield from _shape(payment, people=people)
        history = world.router_tables.history[payment.merchant, payment.name]
        yield from _history(payment, history)
        yield from _canceled(payment, history)
    for name in ledger.keys() - known:
        yield Finding("CHARGE_UNKNOWN", name, "no operation of ours")
    yield from _calls(world)
    yield from _callers(world)
    if not world.is_quiet():
        yield Finding("STUCK", "world", "somebody still has something to do")
    for surprise in world.surprises:
        if not any(word in surprise for word in _NOBODY_KNOWS):
            yield Finding("SURPRISE", "process", surprise)


def _money(payment: Payment, ledger: dict[str, list[Effect]]) -> Iterator[Finding]:
    """§7.1 and §7.3: the processors' ledgers beside our books, operation by operation."""
    moved: Counter[str] = Counter()
    taken: list[str] = []
    for operation in payment.operations:
        name = payment.operation_name(operation.number)
        lines = [e for e in ledger[name] if e.kind in _LINES[operation.kind]]
        returned = [e for e in ledger[name] if e.kind == "returned"]
        for effect in (*lines, *returned):
            moved[effect.kind] += effect.minor
        if len(lines) > 1:
            yield Finding("MOVED_TWICE", name, f"{len(lines)} times {operation.kind}")
        if any(e.account != operation.account for e in lines):
            yield Finding("OTHER_ACCOUNT", name, lines[0].account)
        if operation.kind in PRIMARY and lines:
            taken.append(f"{operation.account} {operation.state}")
        yield from _agrees(payment, operation, name, lines)
    if len(taken) > 1:
        yield Finding("CHARGED_TWICE", payment.name, ", ".join(taken))
    held, released = moved["hold"], moved["void"]
    if moved["capture"] + released > held:
        told = f"{moved['capture']} captured, {released} released of {held}"
        yield Finding("CAPTURED_TOO_MUCH", payment.name, told)
    if moved["refund"] > moved["charge"] + moved["capture"]:
        told = f"{moved['refund']} refunded of {moved['charge'] + moved['capture']}"
        yield Finding("REFUNDED_TOO_MUCH", payment.name, told)


def _agrees(
    payment: Payment, operation: Operation, name: str, lines: list[Effect]
) -> Iterator[Finding]:
    """What happened is what we say happened; a doubt that people were told of may be either."""
    happened = bool(lines)
    if operation.state in DOUBTFUL:
        return
    if happened and lines[0].minor != operation.amount.minor:
        yield Finding("OTHER_AMOUNT", name, f"{lines[0].minor} for {operation.amount.minor}")
    should = operation.state is S.SUCCEEDED
    if operation.kind is K.VOID and should:
        # Of an authorization that only waited, a void leaves no line: it never held anything.
        target = payment.operation(operation.target or 0)
        should = target.state is S.SUCCEEDED or happened
    if operation.kind is K.REVERSAL and operation.processor_reference.endswith("-returned"):
        should = False
    if should and not happened:
        yield Finding("NEVER_HAPPENED", name, f"{operation.kind} {operation.state}")
    if happened and not should and not _was_released(payment, operation):
        told = "given back" if _reverses(payment, operation) else "unknown to us"
        yield Finding("HAPPENED_AFTER_NO", name, f"{operation.kind} {operation.state}: {told}")


def _reverses(payment: Payment, operation: Operation) -> bool:
    """Whether a late success was given back, or is in front of a person."""
    return operation.state in CLOSED and any(
        o.kind is K.REVERSAL and o.target == operation.number for o in payment.operations
    )


def _was_released(payment: Payment, operation: Operation) -> bool:
    """Whether what it held was voided before anybody told us that it held something."""
    return operation.kind is K.AUTHORIZE and any(
        o.kind is K.VOID and o.target == operation.number and o.state is S.SUCCEEDED
        for o in payment.operations
    )


def _shape(payment: Payment, *, people: bool) -> Iterator[Finding]:
    """§7.3 in our books, and nothing is stuck."""
    amounts = payment.amounts
    if amounts.refundable < 0 or amounts.capturable < 0:
        yield Finding("OUT_OF_BOUNDS", payment.name, str(amounts))
    for operation in payment.operations:
        waits = operation.state in UNRESOLVED | {S.ACTION_REQUIRED}
        for_people = people and operation.state in (S.MANUAL_REVIEW, S.CONFLICTED)
        if waits and not for_people:
            name = payment.operation_name(operation.number)
            yield Finding("STUCK", name, f"{operation.kind} {operation.state}")
    moving = payment.state in (PaymentState.PROCESSING, PaymentState.ACTION_REQUIRED)
    if moving and not (people and payment.in_doubt):
        yield Finding("STUCK", payment.name, payment.state.value)


def _canceled(payment: Payment, history: list[History]) -> Iterator[Finding]:
    """After a cancellation was asked for nothing is held, and what was taken is given back.

    Captures that had succeeded before are kept; what did not come about is in front of people.
    """
    asked = next((h.after for h in history if h.after.cancel_requested), None)
    if asked is None or payment.in_doubt or payment.direction is Direction.PAYOUT:
        return
    if payment.amounts.capturable > 0 and not _was_refused(payment):
        yield Finding("NOT_CANCELED", payment.name, f"{payment.amounts.capturable} are held")
    kept = payment.amounts.captured - payment.amounts.refunded
    if kept > asked.amounts.captured - asked.amounts.refunded and not _was_refused(payment):
        yield Finding("NOT_CANCELED", payment.name, f"{kept} are kept: {payment.state}")


def _was_refused(payment: Payment) -> bool:
    """Whether the rail refused what the merchant asked for: his to see, and to ask again."""
    return any(
        o.kind is K.VOID and o.reason != CANCELLATION and o.state in CLOSED
        for o in payment.operations
    )


def _history(payment: Payment, history: list[History]) -> Iterator[Finding]:
    """§7.4 and §7.6: every step by the tables, without a gap, and every rail after the gate."""
    before: Payment | None = None
    for number, entry in enumerate(history, start=1):
        after = entry.after
        if after.version != number:
            yield Finding("GAP", payment.name, f"step {number} has version {after.version}")
        if amounts_of(after) != after.amounts or _state(after) is not after.state:
            yield Finding("NOT_A_FUNCTION", payment.name, f"step {number} {entry.step.action}")
        known = before.operations if before else ()
        for old, new in zip(known, after.operations, strict=False):
            if old.state is not new.state and (old.state, new.state) not in _STEPS:
                told = f"{old.state} to {new.state} by {entry.step.action}"
                yield Finding("ILLEGAL_STEP", payment.name, told)
        for added in after.operations[len(known) :]:
            tries = [o for o in after.primary if o.number < added.number]
            if added.kind in PRIMARY and any(o.state not in OPENS_NEXT_RAIL for o in tries):
                told = ", ".join(o.state.value for o in tries)
                yield Finding("SECOND_RAIL_TOO_EARLY", payment.name, told)
        before = after


def _state(payment: Payment) -> PaymentState:
    return payment_state(
        payment.operations, amounts=payment.amounts, first=payment.first_state,
        cancel_requested=payment.cancel_requested,
    )  # fmt: skip


def _calls(world: World) -> Iterator[Finding]:
    """§7.6 for the gateway's rows."""
    for (_, name), steps in world.gateway_tables.history.items():
        state = CallState.ABSENT
        for number, step in enumerate(steps, start=1):
            legal = (step.before, step.after) in _CALL_STEPS or step.before is step.after
            if step.version != number or step.before is not state or not legal:
                told = f"version {step.version}: {step.before} to {step.after} by {step.event}"
                yield Finding("ILLEGAL_CALL_STEP", name, f"step {number} {told}")
            state = step.after


def _callers(world: World) -> Iterator[Finding]:
    """§7.7: one key, one payment."""
    for (merchant, key), names in world.merchants.answers.items():
        if len(names) > 1:
            yield Finding("KEY_OF_TWO", f"{merchant} {key}", ", ".join(sorted(names)))
