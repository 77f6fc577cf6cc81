"""Go on with a call that its owner left SUBMITTING: send it again where that is safe, else ask."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from cashier_common.clock import Clock
from cashier_gateway.domain.call import Call
from cashier_gateway.flows.ports import Book, Origin, Terminal
from cashier_gateway.flows.send import record, send, stand

# Without an expiry of its own an operation may be sent again this long after its row was written:
# the longest deadline of a caller, who may still be there. Later only evidence counts.
RESEND_MAX_AGE: Final = timedelta(seconds=60)


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
    fresh_until = taken.expire_at or taken.created_at + RESEND_MAX_AGE
    if taken.request is not None and clock.now() < fresh_until:
        return await send(taken, terminal, origin, source=source, book=book, clock=clock)
    answer = await terminal.processor.look_up(taken)
    return await record(
        taken, answer, terminal.account, origin, source=source(), book=book, clock=clock
    )
