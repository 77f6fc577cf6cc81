"""One run of the demo on a running mesh: pay, wait, settle, compare, tell."""

import asyncio
import secrets
import string
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cashier.payments.v1 import payment_pb2
from cashier.recon.v1 import recon_service_pb2
from cashier_mesh.config import PROJECT_DIR
from cashier_mesh.demo.callers import Callers
from cashier_mesh.demo.ground import Ground
from cashier_mesh.demo.report import Report
from cashier_mesh.demo.screen import Screen
from cashier_mesh.demo.settle import settle
from cashier_mesh.demo.stage import CLIENT, Stage, opened
from cashier_mesh.demo.tally import O, P, count, was_saved
from cashier_mesh.demo.timeline import events_of
from cashier_mesh.demo.wishes import Round, Wish, read, some_of
from cashier_mesh.errors import MeshError

CALLERS = 24
OUTAGE_ACCOUNT = "sandbox-us"
OUTAGE_FROM, OUTAGE_TO = 40, 65  # percent of the rows
# The third question about a doubt comes after 35 s by the default schedule, the fourth after 155 s.
REST_MAX_S = 90.0
LOOK_AGAIN_S, DRAW_S = 0.5, 0.15
CHECK_MAX_S = 10.0  # what was paid just now is sealed and posted by then
NAME_LETTERS = 8  # of a run: 200 billion


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a caller of the demo may choose; `payments` None means every row."""

    file: Path | None = None
    payments: int | None = None
    callers: int = CALLERS
    stays: bool = False
    """The mesh goes on after the run."""
    project_dir: Path = PROJECT_DIR


async def play(ground: Ground, options: Options, console: Console) -> bool:
    """Run everything; whether the books agree with what the processors say."""
    began = time.monotonic()
    wishes = read(options.file)
    if options.payments is not None:
        wishes = some_of(wishes, options.payments)
    async with opened(ground, options.project_dir) as stage:
        before = await stage.books.summary()
        with Screen(console, sum(not wish.is_deposit for wish in wishes)) as screen:
            name, unrested = await _pay_all(stage, wishes, options, screen)
            screen.phase("comparing the books with what the processors say")
            evidence, problems = await stage.agreed()
            reconciled = None
            if not problems:  # what recon has not read, no file can settle
                screen.phase("settling: the processors issue their files, recon matches them")
                reconciled = await settle(
                    stage.merchants, stage.operator, stage.localstripe, stage.books, name=name
                )
                evidence, problems = await stage.agreed()
        problems += [*unrested, *stage.harvest.broken]
        after = await stage.books.summary()
        report = Report(console)
        console.print()
        report.payments(stage.harvest)
        report.money(evidence, after)
        if reconciled is not None:
            problems += reconciled.problems
            report.exceptions(reconciled)
        shown = _one_that_was_saved(stage.harvest.payments.values())
        if shown is not None:
            await _tell_its_way(shown, stage, report, before, after)
        report.look(ground, shown, stays=options.stays)
        report.verdict(problems, elapsed_s=time.monotonic() - began)
    return not problems


async def check(ground: Ground, options: Options, console: Console) -> bool:
    """Pay nothing; only compare the books with what the processors say."""
    began = time.monotonic()
    async with opened(ground, options.project_dir) as stage:
        evidence, problems = await stage.agreed(CHECK_MAX_S)
        report = Report(console)
        report.money(evidence, await stage.books.summary())
        report.verdict(problems, elapsed_s=time.monotonic() - began)
    return not problems


async def _pay_all(
    stage: Stage, wishes: Sequence[Wish], options: Options, screen: Screen
) -> tuple[str, list[str]]:
    """Pay and wait until nothing is under way: the run's name, and what never rested."""
    # Letters alone: digits beside those of a reference may look like a card number.
    name = "".join(secrets.choice(string.ascii_lowercase) for _ in range(NAME_LETTERS))
    async with stage.ground.channel("router", CLIENT) as channel:
        cards = await stage.localstripe.make_cards() if stage.localstripe else {}
        callers = Callers(channel, Round(name, cards), stage.harvest)
        deposits = asyncio.create_task(_deposits(stage, callers, wishes, screen))
        try:
            await _pay(stage, callers, _cards(wishes, stage, screen), options, screen)
            screen.phase("waiting until nothing is under way")
            await deposits
            unrested = await _rest(stage, callers, screen)
        finally:
            deposits.cancel()
            with suppress(asyncio.CancelledError):
                await deposits
    return name, unrested


async def _pay(
    stage: Stage, callers: Callers, wishes: Sequence[Wish], options: Options, screen: Screen
) -> None:
    """Send every card payment, with an outage in the middle."""
    outage = _outage(stage, len(wishes), screen)
    screen.phase(f"paying: {len(wishes)} rows by {options.callers} callers at once")
    drawing = asyncio.create_task(_draw(stage, screen))
    try:
        await callers.send_all(wishes, callers=options.callers, before=outage)
    finally:
        drawing.cancel()
        await stage.operator.end_outage(OUTAGE_ACCOUNT)
        screen.outage("")
    screen.show(count(stage.harvest.payments.values()), answered=len(wishes))
    screen.say(f"{len(wishes)} rows were answered, {screen.rate:.0f} a second")


def _outage(stage: Stage, total: int, screen: Screen) -> Callable[[int], Awaitable[None]]:
    first, last = total * OUTAGE_FROM // 100, total * OUTAGE_TO // 100

    async def before(number: int) -> None:
        stage.harvest.answered = number
        if number == first:
            await stage.operator.begin_outage(OUTAGE_ACCOUNT)
            screen.outage(OUTAGE_ACCOUNT)
            screen.say(f"{OUTAGE_ACCOUNT} goes away: it refuses every connection")
        elif number == last:
            await stage.operator.end_outage(OUTAGE_ACCOUNT)
            screen.outage("")
            screen.say(f"{OUTAGE_ACCOUNT} is back")

    return before


async def _draw(stage: Stage, screen: Screen) -> None:
    while True:
        screen.show(count(stage.harvest.payments.values()), answered=stage.harvest.answered)
        await asyncio.sleep(DRAW_S)


async def _rest(stage: Stage, callers: Callers, screen: Screen) -> list[str]:
    """Wait until every payment rests; a sentence for each that does not in time."""
    ends = time.monotonic() + REST_MAX_S
    while await callers.look_again() and time.monotonic() < ends:
        screen.show(count(stage.harvest.payments.values()))
        await asyncio.sleep(LOOK_AGAIN_S)
    screen.show(count(stage.harvest.payments.values()))
    return [
        f"{one.name} is still {P.State.Name(one.state).removeprefix('STATE_')} after "
        f"{REST_MAX_S:.0f} s{', in doubt' if one.in_doubt else ''}"
        for one in stage.harvest.waiting()
    ]


async def _deposits(stage: Stage, callers: Callers, wishes: Sequence[Wish], screen: Screen) -> None:
    """Ask for the deposits and pay them on the chain, while the cards go on."""
    wanted = [wish for wish in wishes if wish.is_deposit]
    if not wanted or stage.chain is None:
        if wanted:
            screen.say(f"skipped: {len(wanted)} stablecoin deposits, because no chain runs here")
        return
    await stage.chain.prepare()
    made = [payment for wish in wanted if (payment := await callers.send(wish)) is not None]
    asked = [one for one in made if one.next_action.HasField("chain_deposit")]
    if len(asked) < len(wanted):
        states = ", ".join(sorted({P.State.Name(one.state) for one in made if one not in asked}))
        raise MeshError(
            f"{len(wanted) - len(asked)} of {len(wanted)} deposits got no address ({states}): look "
            "into the logs of the crypto service"
        )
    await stage.chain.pay(asked)
    screen.say(f"{len(asked)} stablecoin deposits were paid on the chain")


def _cards(wishes: Sequence[Wish], stage: Stage, screen: Screen) -> list[Wish]:
    """Rows that are sent as cards; those that need a localstripe that is not there are said."""
    cards = [wish for wish in wishes if not wish.is_deposit]
    if stage.localstripe is None:
        possible = [
            wish for wish in cards if not any("localstripe" in account for account in wish.tokens)
        ]
        screen.say(f"skipped: {len(cards) - len(possible)} rows, because localstripe is away")
        return possible
    return cards


def _one_that_was_saved(payments: Iterable[payment_pb2.Payment]) -> payment_pb2.Payment | None:
    """A payment that another account took; best one that an outage had stopped."""
    saved = [payment for payment in payments if was_saved(payment)]
    by_outage = [
        payment
        for payment in saved
        if any(one.state == O.STATE_NOT_SENT for one in payment.operations)
    ]
    return next(iter(by_outage or saved), None)


async def _tell_its_way(
    payment: payment_pb2.Payment,
    stage: Stage,
    report: Report,
    before: recon_service_pb2.GetSummaryResponse,
    after: recon_service_pb2.GetSummaryResponse,
) -> None:
    async with stage.ground.channel("router", "operator") as channel:
        events = await events_of(
            payment.name, channel, after=before.event_positions, until=after.event_positions
        )
    report.timeline(payment, events, await stage.books.entries_of(payment.name))
