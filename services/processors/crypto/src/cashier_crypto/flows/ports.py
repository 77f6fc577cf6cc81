"""What the flows need of the world, as the flows see it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cashier_common.db.transaction import UnitOfWork
from cashier_crypto.domain.sighting import Block, Log, Receipt, Sighting, Use
from cashier_crypto.domain.transfer import Transfer

ANSWER = "ANSWER"
CHAIN = "CHAIN"
LOOK_UP = "LOOK_UP"
LATE_SOURCES = frozenset({CHAIN, LOOK_UP})
"""Sources of outcomes that came after the caller's answer: StreamOutcomes tells those."""


@dataclass(frozen=True, slots=True)
class Origin:
    """On whose behalf: a caller's SPIFFE id or a worker's name, and the W3C traceparent."""

    actor: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is on record about an operation; a tombstone has neither fingerprint nor transfer."""

    fingerprint: bytes | None
    fenced: bool
    transfer: Transfer | None


class Endpoint(Protocol):
    """One node's JSON-RPC. Every method raises ChainUnavailable where nothing is known."""

    @property
    def name(self) -> str:
        """For logs: host and port, never a key in a path."""

    async def head(self) -> Block:
        """The newest block."""

    async def block(self, number: int) -> Block | None:
        """A block by number; None where the node has none of that number."""

    async def token_logs(self, first: int, last: int, contracts: Collection[str]) -> list[Log]:
        """Every `Transfer` that these contracts logged in these blocks."""

    async def logs_paying(self, first: int, last: int, addresses: Collection[str]) -> list[Log]:
        """Every `Transfer` that any contract logged to one of these addresses."""

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """The receipt of a mined transaction that succeeded; None where there is none."""


class Book(Protocol):
    """Operations, deposits and addresses. Writes leave as one statement at the unit's end."""

    def begin(self) -> UnitOfWork:
        """A unit of work."""

    async def take_address(self, tx: UnitOfWork, *, pool: str) -> str:
        """Lock a free address of the pool; PoolEmpty where there is none."""

    async def add_addresses(self, pool: str, children: Sequence[tuple[int, str]]) -> int:
        """Put derived addresses into the pool; those that are known stay as they are."""

    async def pool_state(self, pool: str) -> tuple[int, int]:
        """How many addresses are free, and the index of the next child to derive."""

    def add(self, tx: UnitOfWork, transfer: Transfer, fingerprint: bytes, origin: Origin) -> None:
        """Write a new deposit: OperationKnown where the operation has a row."""

    def add_tombstone(
        self, tx: UnitOfWork, *, merchant: str, operation: str, origin: Origin
    ) -> None:
        """Fence an operation that was never seen: OperationKnown where it has a row."""

    def fence(self, tx: UnitOfWork, *, merchant: str, operation: str) -> None:
        """Close the door behind an operation that has a row."""

    def move(
        self,
        tx: UnitOfWork,
        before: Transfer,
        after: Transfer,
        *,
        action: str,
        source: str,
        origin: Origin,
    ) -> None:
        """Advance a deposit with its step: MovedOn where somebody else did first."""

    def note(
        self,
        tx: UnitOfWork,
        before: Transfer,
        after: Transfer,
        sighting: Sighting,
        *,
        action: str,
        origin: Origin,
    ) -> None:
        """Put a sighting on record beside a deposit that it does not move."""

    async def find(self, *, merchant: str, operation: str) -> Known | None:
        """What is known of an operation."""

    async def due(self, *, chain: str, height: int, limit: int) -> list[Transfer]:
        """Deposits that the chain up to this height moves on."""

    async def expirable(self, *, chain: str, before: datetime, limit: int) -> list[Transfer]:
        """Deposits that nothing pays and whose time ended before this moment."""

    async def shaken(self, *, chain: str, above: int, limit: int) -> list[Transfer]:
        """Deposits that were final in a block above this one."""


class ChainRecord(Protocol):
    """Blocks that were read, and the transfers to our addresses in them."""

    def begin(self) -> UnitOfWork:
        """A unit of work."""

    async def cursor(self, chain: str) -> Block | None:
        """The block that was read last."""

    async def block(self, chain: str, number: int) -> Block | None:
        """A block as it was read."""

    async def blocks_below(self, chain: str, number: int, limit: int) -> list[Block]:
        """Blocks as they were read, from this number down."""

    async def final_time(self, chain: str, number: int) -> datetime | None:
        """The time of the newest block that was read up to this number."""

    async def ours(self, addresses: Collection[str]) -> frozenset[str]:
        """Those that were given out."""

    async def awaiting(self, chain: str, limit: int) -> list[str]:
        """Addresses of deposits that are open, newest first."""

    def record(
        self,
        tx: UnitOfWork,
        chain: str,
        *,
        seen: Block | None,
        blocks: Sequence[Block],
        sightings: Sequence[Sighting],
        keep_from: int,
    ) -> None:
        """Write what was read and move the cursor: MovedOn where another watcher moved it."""

    def rewind(self, tx: UnitOfWork, chain: str, *, seen: Block, fork: Block) -> None:
        """Take back what was read above the fork: its transfers are no longer in the chain."""

    async def open_sightings(self, chain: str, limit: int) -> list[tuple[Sighting, Transfer]]:
        """Sightings that nobody looked at, with the deposits whose address they pay."""

    def use(
        self, tx: UnitOfWork, chain: str, sighting: Sighting, *, before: Use, after: Use
    ) -> None:
        """Say what a sighting is: MovedOn where somebody else said so first."""
