"""The weather at one account: outage, latency, brownout, rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cashier_sandbox.domain.chance import Latency
from cashier_sandbox.domain.notice import Mischief
from cashier_sandbox.domain.script import Behaviour


class OutageMode(StrEnum):
    """How an account is away."""

    REFUSE = "refuse"
    HTTP_503 = "http_503"
    HANG = "hang"
    LOST_ANSWER = "lost_answer"


class Operation(StrEnum):
    """What a caller can ask for under an idempotency key."""

    CHARGE = "charge"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    PAYOUT = "payout"
    INTENT = "intent"
    DISPUTE = "dispute"
    ENDPOINT = "endpoint"
    TOKEN = "token"  # noqa: S105  an operation, not a secret
    FILE = "file"
    AUTHENTICATION = "authentication"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What of a request decides its fate; `token` is empty where the operation has none."""

    operation: Operation
    token: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brownout:
    """A share of the requests that fails, in one of these ways."""

    probability_ppm: int
    kinds: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Rule:
    """A behaviour for requests that match everything which is given; counts down `times`."""

    behaviour: Behaviour
    name: str
    operation: Operation = Operation.CHARGE
    token: str | None = None
    currency: str | None = None
    amount_min: int | None = None
    amount_max: int | None = None
    probability_ppm: int | None = None
    times: int | None = None

    def matches(self, ask: Ask, chance_ppm: int) -> bool:
        """Whether the rule speaks for this request, `chance_ppm` being its draw."""
        return (
            ask.operation is self.operation
            and self.times != 0
            and (self.token is None or ask.token == self.token)
            and (self.currency is None or ask.currency == self.currency)
            and (self.amount_min is None or ask.amount >= self.amount_min)
            and (self.amount_max is None or ask.amount <= self.amount_max)
            and (self.probability_ppm is None or chance_ppm < self.probability_ppm)
        )


@dataclass(slots=True)
class Conditions:
    """What is in force now; changed by the control API alone."""

    outage: OutageMode | None = None
    latency: Latency = field(default_factory=Latency)
    brownout: Brownout | None = None
    rules: Sequence[Rule] = ()
    mischief: Mischief = field(default_factory=Mischief)

    def calm(self) -> None:
        """Forget all but an outage, which is ended by its own means."""
        self.latency, self.brownout, self.rules = Latency(), None, ()
        self.mischief = Mischief()
