"""A deposit: an address that was given out once, what is awaited there, and what was seen."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from cashier_common.ids import derived_name
from cashier_common.money import Money
from cashier_crypto.domain.account import ProcessorAccount, Token
from cashier_crypto.domain.lifecycle import OPEN, TRANSFER, Event, State
from cashier_crypto.domain.outcome import Outcome, Verdict
from cashier_crypto.domain.sighting import Sighting, Use

# Raised when a field joins or leaves the fingerprint; the first byte of each stored one.
FINGERPRINT_VERSION = 1
PROTO_MINOR_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Command:
    """An `Authorize` as it was parsed."""

    merchant: str
    operation: str
    account: str
    amount: Money
    method: str
    chain: str
    capture: bool
    expire_at: datetime | None = None

    @property
    def fingerprint(self) -> bytes:
        """A versioned SHA-256 over every field that means something."""
        told = [
            self.merchant, self.operation, self.account, self.amount.minor, self.amount.asset,
            self.method, self.chain, self.capture,
        ]  # fmt: skip
        text = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
        return bytes([FINGERPRINT_VERSION]) + hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row per deposit; `outcome` is set once the rail has said its last word about it."""

    merchant: str
    name: str
    operation: str
    account: str
    chain: str
    token: Token
    amount: Money
    address: str
    required_confirmations: int
    state: State
    version: int
    expire_at: datetime
    created_at: datetime
    updated_at: datetime
    traceparent: str
    sighting: Sighting | None = None
    outcome: Outcome | None = None

    @classmethod
    def awaited(
        cls,
        command: Command,
        account: ProcessorAccount,
        *,
        address: str,
        traceparent: str,
        at: datetime,
    ) -> Self:
        """The deposit of a new operation."""
        return cls(
            merchant=command.merchant,
            name=derived_name("transfers", "tr", command.merchant, command.operation),
            operation=command.operation,
            account=command.account,
            chain=account.chain,
            token=account.token(command.amount.asset),
            amount=command.amount,
            address=address,
            required_confirmations=account.required_confirmations,
            state=TRANSFER.initial,
            version=1,
            expire_at=at + timedelta(seconds=account.deposit_lifetime_s),
            created_at=at,
            updated_at=at,
            traceparent=traceparent,
        )

    def moved(self, event: Event, at: datetime, outcome: Outcome | None = None) -> "Transfer":
        """The deposit after an event; TransitionRefused where the table has no such step."""
        return replace(
            self,
            state=TRANSFER.next(self.state, event),
            version=self.version + 1,
            updated_at=at,
            outcome=outcome or self.outcome,
        )

    def seen(self, sighting: Sighting, at: datetime) -> "Transfer":
        """The deposit after a transfer to its address appeared in a block."""
        return replace(self.moved(Event.SEE, at), sighting=sighting)

    def noted(self, at: datetime) -> "Transfer":
        """The same deposit, one version on: evidence was put on record beside it."""
        return replace(self, version=self.version + 1, updated_at=at)

    @property
    def reference(self) -> str:
        """What the chain calls it; empty while nothing was seen."""
        return self.sighting.reference if self.sighting else ""

    @property
    def in_chain(self) -> bool:
        """Whether its sighting stands in the chain and still pays this address with its token."""
        seen = self.sighting
        return (
            seen is not None
            and seen.in_chain
            and (seen.address, seen.contract) == (self.address, self.token.contract)
        )

    def confirmations(self, height: int) -> int:
        """Blocks on top of the one that it is in."""
        if self.sighting is None or not self.in_chain:
            return 0
        return max(height - self.sighting.block_number, 0)

    def due_event(self, height: int) -> Event | None:
        """What the chain up to `height` makes of it; FINALIZE still needs agreement."""
        if self.state in {State.SEEN, State.CONFIRMING} and not self.in_chain:
            return Event.ORPHAN
        if self.state is State.ORPHANED and self.in_chain:
            return Event.SEE
        if self.state is State.SEEN and self.confirmations(height) > 0:
            return Event.CONFIRM
        deep = self.confirmations(height) >= self.required_confirmations
        if self.state is State.CONFIRMING and deep:
            return Event.FINALIZE
        if self.state is State.FINAL and self.outcome is None and self.in_chain:
            return Event.CREDIT if self.is_exact else Event.CONTRADICT
        return None

    @property
    def observed(self) -> Money | None:
        """Whole minor units that were seen; None while nothing was, or too much to be said so."""
        if self.sighting is None:
            return None
        minor, _ = self.token.minor(self.sighting.units)
        return Money(minor, self.amount.asset) if minor <= PROTO_MINOR_MAX else None

    @property
    def is_exact(self) -> bool:
        """Whether what was seen is what was asked for, to the last unit of the token."""
        if self.sighting is None:
            return False
        return self.token.minor(self.sighting.units) == (self.amount.minor, 0)


def use_of(sighting: Sighting, transfer: Transfer) -> Use:
    """What a transfer to a deposit's address is to the deposit as it stands."""
    if sighting.contract != transfer.token.contract:
        return Use.WRONG_TOKEN
    if transfer.state is State.EXPIRED:
        return Use.LATE
    return Use.BOUND if transfer.state in OPEN and not transfer.in_chain else Use.SURPLUS


def credited(transfer: Transfer, account: ProcessorAccount, at: datetime) -> Outcome:
    """The last word about a deposit of the right amount."""
    return Outcome(
        Verdict.SUCCEEDED, f"{transfer.reference} is final", at, amount=transfer.amount,
        settlement=account.settlement(transfer.amount, at),
    )  # fmt: skip


def contradicted(transfer: Transfer, at: datetime) -> Outcome:
    """The last word about a deposit of another amount: the observed one, never a success."""
    units = transfer.sighting.units if transfer.sighting else 0
    return Outcome(
        Verdict.CONFLICTED,
        f"{transfer.reference} is final with {units} units of the token, and "
        f"{transfer.amount.minor} minor units of {transfer.amount.asset} were asked for",
        at,
        amount=transfer.observed,
    )


def outcome_of(transfer: Transfer, at: datetime) -> Outcome:
    """What the rail says of a deposit as it stands at this moment."""
    if transfer.outcome is not None:
        return transfer.outcome
    if transfer.state is State.AWAITED:
        return Outcome(Verdict.ACTION_REQUIRED, "the customer has to send the transfer", at)
    return Outcome(
        Verdict.PENDING, f"a transfer is {transfer.state} and not final", at,
        amount=transfer.observed if transfer.in_chain else None,
    )  # fmt: skip
