"""Say of each new sighting what it is to the deposit whose address it pays."""

from typing import Final

import structlog

from cashier_common.clock import Clock
from cashier_common.failpoints import hit
from cashier_crypto.domain.errors import MovedOn
from cashier_crypto.domain.lifecycle import Event
from cashier_crypto.domain.sighting import Sighting, Use
from cashier_crypto.domain.transfer import Transfer, use_of
from cashier_crypto.flows.ports import Book, ChainRecord, Origin

BATCH_MAX: Final = 500
ACTOR: Final = "worker/watcher"

_log = structlog.get_logger(__name__)


async def judge_sightings(book: Book, record: ChainRecord, chain: str, clock: Clock) -> int:
    """Bind what a deposit waits for; keep the rest as evidence. How many were judged.

    Each is one unit of work; a crash leaves the others for the next round.
    """
    judged = 0
    settled: set[str] = set()
    for sighting, transfer in await record.open_sightings(chain, BATCH_MAX):
        if transfer.name in settled:  # moved in this round: read it again in the next one
            continue
        settled.add(transfer.name)
        try:
            await _judge(sighting, transfer, book, record, clock)
        except MovedOn:
            continue
        judged += 1
    return judged


async def _judge(
    sighting: Sighting, transfer: Transfer, book: Book, record: ChainRecord, clock: Clock
) -> None:
    use = use_of(sighting, transfer)
    origin = Origin(ACTOR, transfer.traceparent)
    now = clock.now()
    async with book.begin() as tx:
        record.use(tx, transfer.chain, sighting, before=Use.OPEN, after=use)
        if use is Use.BOUND:
            former = transfer.sighting
            if former is not None and former.use is Use.BOUND:
                record.use(tx, transfer.chain, former, before=Use.BOUND, after=Use.SURPLUS)
            book.move(
                tx, transfer, transfer.seen(sighting, now), action=Event.SEE, source="",
                origin=origin,
            )  # fmt: skip
        else:
            book.note(tx, transfer, transfer.noted(now), sighting, action=use.value, origin=origin)
    if use is Use.BOUND:
        await hit("crypto.after_see")
    else:
        _log.warning(
            "deposit_evidence", transfer=transfer.name, use=use, reference=sighting.reference
        )
