"""Write one transition, and what follows from it for the operation that it acted on."""

from typing import Final

from cashier_common.db.transaction import UnitOfWork
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event, State
from cashier_gateway.domain.outcome import Outcome
from cashier_gateway.flows.ports import VOIDED, Book, Move, Origin

# An authorization that was waiting, and that a void ended before it could succeed.
_ENDED_BY_VOID: Final = frozenset({State.ACTION_REQUIRED, State.PENDING})


async def advance(tx: UnitOfWork, move: Move, origin: Origin, book: Book) -> None:
    """Collect the transition; a void that succeeded closes an authorization that still waited.

    Both are one unit, and the authorization's step is told by StreamOutcomes. LeaseLost at the end
    of the unit where somebody else has moved one of the rows.
    """
    book.advance(tx, move, origin)
    request = move.after.request
    if request is None or request.kind is not Kind.VOID or move.event is not Event.SUCCEED:
        return
    target = await book.lock(tx, merchant=move.after.merchant, operation=request.target)
    if target is not None and target.state in _ENDED_BY_VOID:
        book.advance(tx, _closed(target, move.after), origin)


def _closed(target: Call, void: Call) -> Move:
    told = f"it was voided by {void.operation}"
    observed_at = void.outcome.observed_at if void.outcome else void.created_at
    after = target.advanced(Event.CLOSE, Outcome(told, observed_at), "")
    return Move(target, after, Event.CLOSE, VOIDED)
