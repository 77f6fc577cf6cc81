"""What taking notices needs of the world: an inbox, and what was told of a call beside outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from cashier_common.db.transaction import UnitOfWork
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.domain.notice import Notice
from cashier_gateway.flows.ports import Origin


class InboxState(StrEnum):
    """Where a letter stands. DEAD ones are kept for an operator."""

    WAITING = "WAITING"
    DONE = "DONE"
    DEAD = "DEAD"


class NoteKind(StrEnum):
    """What was told of a call that is no outcome of it; the state that StreamOutcomes tells."""

    SUCCEEDED = "SUCCEEDED"  # a success on what had ended otherwise
    REVERSED = "REVERSED"
    DISPUTED = "DISPUTED"


@dataclass(frozen=True, slots=True)
class Due:
    """A letter whose time has come."""

    account: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that is open in our unit of work; `tries` were made before."""

    account: str
    notice: Notice
    tries: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A call that a notice may be about, as it stood before it was locked.

    A tombstone has no `kind`.
    """

    merchant: str
    operation: str
    account: str
    state: State
    reference: str
    kind: Kind | None
    capture: bool

    @property
    def carries(self) -> bool:
        """Whether it took money, so that money can be taken back from it."""
        return self.kind is Kind.CAPTURE or (self.kind is Kind.AUTHORIZE and self.capture)


@dataclass(frozen=True, slots=True)
class Note:
    """What was told, by the processor's reference of it."""

    kind: NoteKind
    reference: str
    facts: dict[str, Any]
    occurred_at: datetime | None


class Letters(Protocol):
    """The inbox and the notes. Reads and writes belong to the unit of work that they are given."""

    def begin(self) -> UnitOfWork:
        """A unit of work."""

    async def put(self, account: str, notices: Sequence[Notice], body: bytes) -> int:
        """Keep the notices and the body's hash; how many were new. Known ones change nothing."""

    async def list_due(self, limit: int) -> list[Due]:
        """Letters that wait and whose time has come, the longest waiting first."""

    async def open(self, tx: UnitOfWork, due: Due) -> Letter | None:
        """The letter, locked; None when somebody else has it or it is settled."""

    def settle(
        self, tx: UnitOfWork, due: Due, state: InboxState, *, result: str, pause: timedelta
    ) -> None:
        """Write what became of a try; a letter that still waits is due again after `pause`."""

    async def about(self, tx: UnitOfWork, account: str, notice: Notice) -> list[Seen]:
        """Calls that carry the operation's name, of any account, or one of its references here."""

    async def acting_on(
        self, tx: UnitOfWork, account: str, references: Sequence[str]
    ) -> list[Seen]:
        """Captures, voids and refunds of the authorizations with these references."""

    async def disputed(self, tx: UnitOfWork, account: str, reference: str) -> list[Seen]:
        """The call of which a dispute with this reference was told before."""

    async def find_note(self, tx: UnitOfWork, call: Call, note: Note) -> Note | None:
        """What was told before of the same thing."""

    def add_note(
        self, tx: UnitOfWork, call: Call, note: Note, payload: dict[str, Any], origin: Origin
    ) -> None:
        """Write the note, and the step that StreamOutcomes tells; LeaseLost when the call moved."""

    def remember(self, tx: UnitOfWork, call: Call, note: Note) -> None:
        """Write a note that its call's own step tells already."""
