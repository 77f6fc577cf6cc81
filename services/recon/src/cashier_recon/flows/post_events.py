"""Post a batch of events: journals, expectations and the cursor, in one transaction."""

from collections.abc import Sequence

from cashier_recon.domain.posting import FedEvent, Posting, operations_of, plan
from cashier_recon.flows.ports import AlreadyBooked, BeginPost


async def post_events(
    events: Sequence[FedEvent], *, shard: int, after: int, begin: BeginPost
) -> Posting:
    """Book what the events say and move the shard's cursor; what was posted, and what stopped it.

    A crash leaves all of the batch or nothing of it. The usual batch is one statement without a
    read; one that says again what is booked, or moves a decided operation, is read and folded.
    RaceLost when another replica moved the cursor: read it again.
    """
    posting = plan(events, after=after)
    try:
        await _write(posting, shard=shard, after=after, begin=begin)
    except AlreadyBooked:
        posting = await _post_what_is_new(events, shard=shard, after=after, begin=begin)
    return posting


async def _write(posting: Posting, *, shard: int, after: int, begin: BeginPost) -> None:
    if posting.position == after:
        return
    async with begin() as unit:
        unit.move_cursor(shard, after=after, to=posting.position)
        unit.add_journals(posting.journals)
        unit.write_expectations(posting.expectations)


async def _post_what_is_new(
    events: Sequence[FedEvent], *, shard: int, after: int, begin: BeginPost
) -> Posting:
    async with begin() as unit:
        known = await unit.standing(operations_of(events))
        posting = plan(events, after=after, known=known)
        if posting.position > after:
            unit.move_cursor(shard, after=after, to=posting.position)
            unit.add_journals(posting.journals)
            unit.write_expectations(posting.expectations)
    return posting
