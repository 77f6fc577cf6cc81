"""ReprocessNotice and DismissNotice: what an operator does to a letter, once and on the record."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from cashier_common.errors import EtagMismatch, ResourceNotFound, TransitionRefused
from cashier_gateway.flows.notice_desk import Desk, KeptLetter, due_of
from cashier_gateway.flows.notice_ports import Due, InboxState
from cashier_gateway.flows.ports import Origin
from cashier_gateway.flows.take_notice import Taken

DISMISSED: Final = "DISMISSED"
# What became of these is settled, and taking them again could tell nothing else.
_SETTLED: Final = frozenset({Taken.APPLIED, Taken.TOLD, Taken.KNOWN, Taken.STALE, Taken.NOTHING})
Take = Callable[[Due], Awaitable[object]]
"""Takes one letter now, as the worker would."""


class Verb(StrEnum):
    """What an operator may do; also the step's action."""

    REPROCESS = "REPROCESS"
    DISMISS = "DISMISS"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleNotice:
    """An operator's decision about one letter, under an idempotency key."""

    verb: Verb
    name: str
    operator: str
    reason: str
    etag: str
    key: str

    @property
    def fingerprint(self) -> bytes:
        """What tells this request from another one under the same key."""
        facts = ["notice/1", self.verb, self.name, self.operator, self.reason, self.etag]
        return hashlib.sha256(orjson.dumps(facts)).digest()


async def handle_notice(
    command: HandleNotice, desk: Desk, origin: Origin, take: Take
) -> KeptLetter:
    """The letter after what was decided; the same key again answers it as it stands now.

    A crash after the decision leaves it to the worker, which takes what waits.
    """
    due = due_of(command.name)
    if due is None:
        raise ResourceNotFound(name=command.name)
    async with desk.begin() as tx:
        done = await desk.is_done(tx, command.key, command.fingerprint)
        letter = await desk.find(due, tx)
        if letter is None:
            raise ResourceNotFound(name=command.name)
        if not done:
            _check(command, letter)
            again = command.verb is Verb.REPROCESS
            desk.change(
                tx,
                letter,
                InboxState.WAITING if again else InboxState.DONE,
                result="" if again else DISMISSED,
                action=command.verb.value,
                origin=origin,
                reason=command.reason,
                key=command.key,
                fingerprint=command.fingerprint,
            )
    if command.verb is Verb.REPROCESS and not done:
        await take(due)
    now = await desk.find(due)
    return letter if now is None else now


def _check(command: HandleNotice, letter: KeptLetter) -> None:
    """EtagMismatch, or TransitionRefused where nothing is left to decide."""
    if command.etag != letter.etag:
        raise EtagMismatch(name=letter.name)
    settled = letter.state is InboxState.DONE and letter.result in _SETTLED
    if command.verb is Verb.DISMISS:
        settled = settled or letter.result == DISMISSED
    if settled or letter.notice is None:
        state = f"{letter.state} {letter.result}".strip()
        raise TransitionRefused(table="Notice", state=state, event=command.verb.value)
