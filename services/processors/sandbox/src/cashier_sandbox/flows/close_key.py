"""Close the door for an idempotency key, or say what was done under it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cashier_sandbox.domain.book import SpentKey
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.flows.desk import Desk


class KeyStatus(StrEnum):
    """What is known of a key; CLOSED is final."""

    UNUSED = "unused"
    IN_PROGRESS = "in_progress"
    USED = "used"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key, and what was done under it."""

    key: str
    status: KeyStatus
    spent: SpentKey | None = None


def key_state(desk: Desk, key: str) -> KeyState:
    """Return what is known of a key without changing it."""
    if spent := desk.book.spent.get(key):
        return KeyState(key, KeyStatus.USED, spent)
    if key in desk.book.closed:
        return KeyState(key, KeyStatus.CLOSED)
    return KeyState(key, KeyStatus.IN_PROGRESS if key in desk.in_flight else KeyStatus.UNUSED)


def close_key(desk: Desk, key: str) -> KeyState:
    """Close the door unless something went through it; requests on their way find it closed."""
    state = key_state(desk, key)
    if state.status in {KeyStatus.USED, KeyStatus.CLOSED}:
        return state
    desk.ledger.record(Draft(account=desk.account.name, kind=Kind.KEY_CLOSED, id=key, key=key))
    return KeyState(key, KeyStatus.CLOSED)
