"""Go on with a call that its owner left SUBMITTING: send it again where that is safe, else ask."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cashier_common.clock import Clock
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.flows.ports import Book, Origin, Terminal
from cashier_gateway.flows.send import record, send, stand

# Without an expiry of its own an operation may be sent again this long after its row was written:
# the longest deadline of a caller, who may still be there. Later only evidence counts.
RESEND_MAX_AGE: Final = timedelta(seconds=60)
# What acts on money that was authorized or taken is wanted as long as nobody says otherwise, and no
# second rail can do it instead. Well within the day for which processors remember keys.
FOLLOW_UP_RESEND_MAX_AGE: Final = timedelta(hours=6)
_OPENS: Final = frozenset({Kind.AUTHORIZE, Kind.PAYOUT})


async def resume(
    call: Call,
    terminal: Terminal,
    origin: Origin,
    *,
    source: Callable[[], str],
    book: Book,
    clock: Clock,
) -> Call:
    """Take the call over and bring it to rest; the row as it stands when somebody else was faster.

    Sending again cannot charge twice: the key is the same where the processor honours keys, and
    else an intent is confirmed only after its reference was recorded under our lease.
    """
    taken = await book.take_over(call)
    if taken is None:
        return await stand(call, book)
    if taken.request is not None and clock.now() < _fresh_until(taken, terminal):
        return await send(taken, terminal, origin, source=source, book=book, clock=clock)
    answer = await terminal.processor.look_up(taken)
    return await record(
        taken, answer, terminal.account, origin, source=source(), book=book, clock=clock
    )


def _fresh_until(call: Call, terminal: Terminal) -> datetime:
    """Until when it may be sent again; a key is what makes that safe after a long time."""
    if call.expire_at is not None:
        return call.expire_at
    keyed = terminal.account.honours_idempotency_keys
    opens = call.request is None or call.request.kind in _OPENS
    return call.created_at + (FOLLOW_UP_RESEND_MAX_AGE if keyed and not opens else RESEND_MAX_AGE)
