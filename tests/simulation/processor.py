"""A processor as it is out there: it does what it is asked, keeps its own ledger, and is odd.

Four kinds, by how a door is closed there: KEYED closes an idempotency key, REPEAT brings the first
answer of a key back, INTENT honours no keys and cancels intents, ORDER takes an order number once,
refuses an order that is past its expiry, and so says finally that it does not know one.
"""

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from cashier_gateway.domain.call import Kind


class Door(StrEnum):
    """How an account proves that nothing can happen any more."""

    KEYED = "keyed"
    REPEAT = "repeat"
    INTENT = "intent"
    ORDER = "order"


class Status(StrEnum):
    """Where a thing at the processor stands."""

    BARE = "bare"  # an intent that nobody confirmed
    SUCCEEDED = "succeeded"
    SOFT = "soft"
    HARD = "hard"
    PENDING = "pending"
    ACTION = "action"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrives. `root` is the reference of the charge that it acts on."""

    verb: str  # do, find, close; create, confirm, cancel for intents
    key: str
    operation: str = ""
    kind: Kind = Kind.AUTHORIZE
    minor: int = 0
    asset: str = ""
    capture: bool = False
    root: str = ""
    reference: str = ""
    expires_s: float = 0  # of an order


@dataclass
class Thing:
    """A charge, capture, void, refund or payout at the processor."""

    reference: str
    asked: Asked
    status: Status
    shown_minor: int  # what answers say; wrong where the fault wants it


@dataclass(frozen=True, slots=True)
class Effect:
    """Money that moved, or was held or released: the ledger's line."""

    account: str
    operation: str
    kind: str  # hold, charge, capture, void, refund, payout, returned
    minor: int
    reference: str


@dataclass(frozen=True, slots=True)
class Told:
    """The processor's answer: a thing, or a word about a key."""

    thing: Thing | None = None
    word: str = ""


# How often what becomes of a request of each kind.
_FATES = {
    Kind.AUTHORIZE: {"succeeded": 76, "soft": 8, "hard": 4, "late_yes": 4, "late_no": 3, "ask": 5},
    Kind.CAPTURE: {"succeeded": 88, "hard": 3, "late_yes": 7, "late_no": 2},
    Kind.VOID: {"succeeded": 93, "late_yes": 5, "hard": 2},
    Kind.REFUND: {"succeeded": 83, "soft": 2, "hard": 3, "late_yes": 9, "late_no": 3},
    Kind.PAYOUT: {"succeeded": 80, "soft": 5, "hard": 3, "late_yes": 9, "late_no": 3},
}
_CALM = {"succeeded": 1}


@dataclass
class Processor:
    """One account. Nothing that it does is forgotten, and `ledger` is the truth."""

    account: str
    door: Door
    rng: random.Random
    later: Callable[..., None]  # after seconds, a call
    notify: Callable[["Processor", Thing], None]
    is_calm: Callable[[], bool]
    show_wrong: Callable[[], bool]
    now_s: Callable[[], float]
    ledger: list[Effect] = field(default_factory=list)
    things: dict[str, Thing] = field(default_factory=dict)
    keys: dict[str, Thing | None] = field(default_factory=dict)  # None: closed
    refused: Counter[str] = field(default_factory=Counter)
    script: deque[str] = field(default_factory=deque)  # what becomes of the next requests

    def handle(self, asked: Asked) -> Told:
        """Take one request; repeating it is safe where the kind of processor says so."""
        match asked.verb:
            case "do":
                return self._once(asked)
            case "find":
                return (
                    Told(self.keys.get(asked.key))
                    if asked.key in self.keys
                    else Told(word="unknown")
                )
            case "close":
                self.keys.setdefault(asked.key, None)
                thing = self.keys[asked.key]
                return Told(thing) if thing else Told(word="closed")
            case "create":
                thing = self._thing(asked, Status.BARE)
                return Told(thing)
            case "get":
                return Told(self.things[asked.reference])
            case "confirm":
                return self._confirm(self.things[asked.reference])
            case "cancel":
                thing = self.things[asked.reference]
                if thing.status is Status.BARE:
                    thing.status = Status.CANCELED
                return Told(thing)
        raise ValueError(asked.verb)

    def take_back(self, thing: Thing, minor: int) -> str:
        """A bank returns what was taken; nobody asked us."""
        reference = f"{thing.reference}-returned"
        self._book(thing, "returned", minor)
        return reference

    def _once(self, asked: Asked) -> Told:
        if asked.key in self.keys:
            known = self.keys[asked.key]
            return Told(known) if known else Told(word="closed")
        if self.door is Door.ORDER and self.now_s() > asked.expires_s:
            return Told(word="expired")
        thing = self._thing(asked, Status.BARE)
        self.keys[asked.key] = thing
        return self._confirm(thing)

    def _thing(self, asked: Asked, status: Status) -> Thing:
        reference = f"{self.account}_{len(self.things) + 1}"
        thing = Thing(reference, asked, status, asked.minor)
        self.things[reference] = thing
        return thing

    def _confirm(self, thing: Thing) -> Told:
        if thing.status is not Status.BARE:
            return Told(thing)
        fate = self._fate(thing.asked)
        match fate:
            case "late_yes" | "late_no":
                thing.status = Status.PENDING
                self.later(self.rng.uniform(1, 4_000), self._resolve, thing, fate == "late_yes")
            case "ask":
                thing.status = Status.ACTION
                self.later(self.rng.uniform(2, 400), self._acted, thing)
            case _:
                self._end(thing, Status(fate))
        if self.show_wrong():
            thing.shown_minor += 1
            self.later(60, setattr, thing, "shown_minor", thing.asked.minor)
        return Told(thing)

    def _fate(self, asked: Asked) -> str:
        if not self._allows(asked):
            self.refused[asked.kind] += 1
            return "hard"
        if self.script:
            return self.script.popleft()
        fates = _CALM if self.is_calm() else _FATES[asked.kind]
        return self.rng.choices(list(fates), list(fates.values()))[0]

    def _allows(self, asked: Asked) -> bool:
        """Only the charge's own state counts: no sums, so that our own bounds are what holds."""
        if asked.kind in (Kind.AUTHORIZE, Kind.PAYOUT):
            return True
        root = self.things[asked.root]
        if asked.kind is Kind.VOID:
            waits = root.status in (Status.ACTION, Status.PENDING)
            return waits or (root.status is Status.SUCCEEDED and not root.asked.capture)
        return root.status is Status.SUCCEEDED

    def _resolve(self, thing: Thing, is_yes: bool) -> None:
        if thing.status is Status.PENDING:
            self._end(thing, Status.SUCCEEDED if is_yes else Status.HARD)
            self.notify(self, thing)

    def _acted(self, thing: Thing) -> None:
        """The payer did what he was asked for, or turned away."""
        if thing.status is Status.ACTION:
            ends = {Status.SUCCEEDED: 60, Status.SOFT: 15, Status.CANCELED: 25}
            self._end(thing, self.rng.choices(list(ends), list(ends.values()))[0])
            self.notify(self, thing)

    def _end(self, thing: Thing, status: Status) -> None:
        asked, thing.status = thing.asked, status
        if status is not Status.SUCCEEDED:
            return
        if asked.kind is Kind.VOID:
            root = self.things[asked.root]
            if root.status in (Status.ACTION, Status.PENDING):
                root.status = Status.CANCELED
                return
            if root.status is not Status.SUCCEEDED or root.asked.capture:
                thing.status = Status.HARD  # while the void waited the money was taken, or refused
                return
        kind = asked.kind.value
        if asked.kind is Kind.AUTHORIZE:
            kind = "charge" if asked.capture else "hold"
        self._book(thing, kind, asked.minor)

    def _book(self, thing: Thing, kind: str, minor: int) -> None:
        self.ledger.append(
            Effect(self.account, thing.asked.operation, kind, minor, thing.reference)
        )
