"""Everything that a run talks to, opened once and closed together."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cashier_mesh.demo.agreement import Cell, Charge, Evidence, disagreements
from cashier_mesh.demo.books import Books
from cashier_mesh.demo.callers import Harvest
from cashier_mesh.demo.chain import Chain
from cashier_mesh.demo.ground import Ground
from cashier_mesh.demo.localstripe import Localstripe
from cashier_mesh.demo.sandbox import Merchant, Operator
from cashier_mesh.demo.tally import state_name
from cashier_mesh.errors import MeshError
from cashier_mesh.policy import MERCHANTS

CLIENT = "demo"
NEEDED = ("router", "risk", "gateway", "recon")
BOOKS_MAX_S = 30.0  # steps are sealed within 5 s and posted within another
ASK_AGAIN_S = 0.5


@dataclass(slots=True)
class Stage:
    """The parties of one run. localstripe and the chain may be missing."""

    ground: Ground
    books: Books
    merchants: list[Merchant]
    operator: Operator
    localstripe: Localstripe | None
    chain: Chain | None
    harvest: Harvest = field(default_factory=Harvest)

    async def evidence(self) -> Evidence:
        """Ask both sides, each through its own API."""
        charges: list[Charge] = []
        reported: dict[Cell, int] = {}
        for merchant in self.merchants:
            charges += await merchant.charges()
            reported |= await merchant.totals()
        if self.localstripe:
            charges += await self.localstripe.charges()
            reported |= await self.localstripe.totals()
        if self.chain:
            charges += await self.chain.charges(MERCHANTS)
            reported |= await self.chain.totals(MERCHANTS)
        return Evidence(
            charges=tuple(charges),
            reported=reported,
            bookings=tuple(await self.books.bookings()),
            booked=await self.books.booked(),
            outcomes={name: state_name(one) for name, one in self.harvest.payments.items()},
        )

    async def agreed(self, patience_s: float = BOOKS_MAX_S) -> tuple[Evidence, list[str]]:
        """The evidence once the books have read every event, and what it disagrees about."""
        ends = time.monotonic() + patience_s
        while True:
            evidence = await self.evidence()
            problems = disagreements(evidence)
            if not problems or time.monotonic() > ends:
                return evidence, problems
            await asyncio.sleep(ASK_AGAIN_S)


@asynccontextmanager
async def opened(ground: Ground, project_dir: Path) -> AsyncIterator[Stage]:
    """Connect to everything; MeshError when the mesh lacks a part that the demo needs."""
    missing = [name for name in NEEDED if name not in ground.targets]
    missing += [] if "sandbox" in ground.peers else ["sandbox"]
    if missing:
        raise MeshError(f"the mesh runs without {', '.join(missing)}: the demo needs all of them")
    async with AsyncExitStack() as stack:
        accounts = ground.accounts()
        merchants = [Merchant(one) for one in accounts if one.processor == "sandbox"]
        operator = Operator(ground.peers["sandbox"], ground.sandbox_token())
        localstripe = chain = None
        if "localstripe" in ground.peers:
            here = ground.peers["localstripe"]  # the sandbox speaks Stripe's API, too
            at_it = [one for one in accounts if one.url.startswith(here)]
            localstripe = Localstripe(at_it) if at_it else None
        if "chain" in ground.peers and "crypto" in ground.targets:
            rail = await stack.enter_async_context(ground.channel("crypto", CLIENT))
            chain = Chain(ground.peers["chain"], project_dir, rail)
        for part in (*merchants, operator, localstripe, chain):
            if part is not None:
                stack.push_async_callback(part.close)
        books = Books(await stack.enter_async_context(ground.channel("recon", CLIENT)))
        yield Stage(ground, books, merchants, operator, localstripe, chain)
