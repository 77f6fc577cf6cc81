"""Rules as typed values: a condition over the facts, the stage it speaks in, and its effect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, Protocol

from cashier_risk.domain.facts import Facts
from cashier_risk.domain.places import within


class Decision(IntEnum):
    """What risk says, from the mildest to the strictest: `max` of two is the more careful one."""

    FRICTIONLESS = 1
    STEP_UP = 2
    REVIEW = 3
    DECLINE = 4


class Stage(IntEnum):
    """When a rule speaks; an earlier stage outranks every later one."""

    SANCTIONS = 1
    EXCLUSION = 2
    BLOCKLIST = 3
    AML = 4
    SCORE = 5

    @property
    def is_hard_stop(self) -> bool:
        """Whether a rule of this stage declines alone."""
        return self < Stage.AML


class Advice(StrEnum):
    """What a rule may ask of routing."""

    STRICT_ACCOUNTS_ONLY = "strict_accounts_only"


class Condition(Protocol):
    """One kind of rule. Pure: no clock, no chance, no store."""

    def holds(self, facts: Facts) -> str | None:
        """Why it holds, as a sentence without personal data; None when it does not."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition and what follows; `score` counts in stage SCORE only and is never negative."""

    id: str
    code: str
    stage: Stage
    condition: Condition
    score: int
    at_least: Decision
    advise: tuple[Advice, ...]


@dataclass(frozen=True, slots=True)
class Bands:
    """From which score on a decision is made: 0 < step_up <= review <= decline <= 1,000."""

    step_up: int
    review: int
    decline: int

    def decision(self, score: int) -> Decision:
        """The band that a score lies in."""
        if score >= self.decline:
            return Decision.DECLINE
        if score >= self.review:
            return Decision.REVIEW
        return Decision.STEP_UP if score >= self.step_up else Decision.FRICTIONLESS


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A document of rules; `version` holds a hash of its text: another text, another version."""

    version: str
    valid_minutes: int
    bands: Bands
    rules: tuple[Rule, ...]
    text: str = field(repr=False)


PLACE_FIELDS: Final = frozenset(
    {"customer_country", "customer_subdivision", "issuer_country", "jurisdiction"}
)
LISTED_FIELDS: Final = frozenset({"instrument", "device", "customer", "wallet", "bin"})
MISSING_FIELDS: Final = frozenset(
    {"device", "customer", "customer_country", "issuer_country", "instrument", "jurisdiction"}
)


@dataclass(frozen=True, slots=True)
class InPlace:
    """One of the fields lies in one of the places (a subdivision lies in its country)."""

    fields: tuple[str, ...]
    places: frozenset[str]

    def holds(self, facts: Facts) -> str | None:
        for name in self.fields:
            code: str = getattr(facts.asked, name)
            if code and within(code, self.places):
                return f"{name} is {code}"
        return None


@dataclass(frozen=True, slots=True)
class Tagged:
    """The merchant tagged the customer with one of these."""

    tags: frozenset[str]

    def holds(self, facts: Facts) -> str | None:
        found = self.tags.intersection(facts.asked.tags)
        return f"the customer is tagged {min(found)}" if found else None


@dataclass(frozen=True, slots=True)
class Listed:
    """The field's value is on the list; the value itself is not told."""

    field: str
    values: frozenset[str]

    def holds(self, facts: Facts) -> str | None:
        value: str = getattr(facts.asked, self.field)
        return f"{self.field} is on the list" if value in self.values else None


@dataclass(frozen=True, slots=True)
class AmountBetween:
    """The amount in units of the reference currency is from `low` to below `high` (None: no end).

    `minor_per_unit` says how many minor units of an asset one reference unit is worth.
    """

    low: int
    high: int | None
    minor_per_unit: Mapping[str, int]

    def holds(self, facts: Facts) -> str | None:
        amount = facts.asked.amount
        per_unit = self.minor_per_unit.get(amount.asset)
        if per_unit is None or amount.minor < self.low * per_unit:
            return None
        if self.high is not None and amount.minor >= self.high * per_unit:
            return None
        return f"the amount is at least {self.low} units of the reference currency"


@dataclass(frozen=True, slots=True)
class AmountUnrated:
    """The reference table does not know the asset, so no amount rule could speak."""

    minor_per_unit: Mapping[str, int]

    def holds(self, facts: Facts) -> str | None:
        asset = facts.asked.amount.asset
        return None if asset in self.minor_per_unit else f"the reference table has no {asset}"


@dataclass(frozen=True, slots=True)
class CountryMismatch:
    """Issuer and customer are known to be in different countries."""

    def holds(self, facts: Facts) -> str | None:
        issuer, home = facts.asked.issuer_country, facts.asked.customer_country
        if not issuer or not home or issuer == home:
            return None
        return f"the issuer is in {issuer}, the customer in {home}"


@dataclass(frozen=True, slots=True)
class Funded:
    """The card's money comes from one of these."""

    fundings: frozenset[str]

    def holds(self, facts: Facts) -> str | None:
        funding = facts.asked.funding
        return f"the funding is {funding}" if funding in self.fundings else None


@dataclass(frozen=True, slots=True)
class Missing:
    """A field was not sent."""

    field: str
    methods: frozenset[str]

    def holds(self, facts: Facts) -> str | None:
        if self.methods and facts.asked.method not in self.methods:
            return None
        return None if getattr(facts.asked, self.field) else f"{self.field} was not sent"


@dataclass(frozen=True, slots=True)
class Velocity:
    """A meter stands above `over`."""

    meter: str
    over: int

    def holds(self, facts: Facts) -> str | None:
        count = facts.velocity.get(self.meter, 0)
        return f"{self.meter} is {count}, over {self.over}" if count > self.over else None


@dataclass(frozen=True, slots=True)
class Degraded:
    """Something that should have been asked could not be."""

    def holds(self, facts: Facts) -> str | None:
        return "the fast counters could not be asked" if facts.degraded else None
