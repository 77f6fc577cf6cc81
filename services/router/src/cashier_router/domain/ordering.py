"""The order of the accounts that may take a payment: by fee, as far as their health allows.

Each account gets its place by fee for its share of the payments, drawn by a hash of the payment,
and stands behind the others for the rest: a payment that is routed again by the same picture goes
the same way. What the breaker holds everywhere is left out, unless that would leave nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from cashier_common.health.breaker import State
from cashier_router.domain.health import PPM, Picture, Standing

BREAKER_OPEN: Final = "BREAKER_OPEN"


class Ranked(Protocol):
    """A candidate as far as its order goes."""

    @property
    def account(self) -> str:
        """Processor account."""

    @property
    def rail(self) -> str:
        """Its rail."""


R = TypeVar("R", bound=Ranked)


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one candidate; without news it is as good as any."""

    standing: Standing | None
    is_fresh: bool
    detail: str

    @property
    def share_ppm(self) -> int:
        """The share of the payments that it gets by its fee."""
        return self.standing.share_ppm if self.standing else PPM

    @property
    def is_held(self) -> bool:
        """Whether every replica knows that nothing passes its breaker."""
        found = self.standing
        if found is None or not self.is_fresh:
            return False
        return found.reading.state is State.OPEN and found.reading.is_shared

    @property
    def rank(self) -> int:
        """Among those that stand behind: what is well first, what lets nothing pass last."""
        if self.standing is None or self.standing.is_well:
            return 0
        return 2 if self.standing.reading.state is State.OPEN else 1


@dataclass(frozen=True, slots=True)
class Order:
    """Which of the candidates come in which order, which are held back, and how likely that was."""

    kept: tuple[int, ...]
    held: tuple[int, ...]
    places: tuple[Place, ...]
    propensity_ppm: int


def arrange(
    candidates: Sequence[Ranked], segment: str, health: Mapping[str, Picture], payment: str
) -> Order:
    """Places of the candidates, which come in the order that they have when all are well.

    Where not one of them is in full standing they fail together (an issuer or the network is down,
    or we are): who is better by a little then changes by the second, and the order stays as it is.
    """
    places = tuple(_place(one, segment, health.get(one.rail)) for one in candidates)
    every = range(len(places))
    if all(place.share_ppm < PPM or place.is_held for place in places):
        together = tuple(
            replace(place, detail=f"{place.detail}; all fail together, so the order stays")
            for place in places
        )
        return Order(tuple(every), (), together, PPM)
    held = tuple(i for i in every if places[i].is_held)
    free = [i for i in every if i not in held]
    front = [i for i in free if draw_ppm(payment, candidates[i].account) < places[i].share_ppm]
    behind = sorted((i for i in free if i not in front), key=lambda i: (places[i].rank, i))
    kept = (*front, *behind)
    return Order(kept, held, places, _propensity_ppm(kept[0], free, places))


def draw_ppm(payment: str, account: str) -> int:
    """A number from 0 to 999,999 that belongs to this payment and account, and is spread evenly."""
    digest = hashlib.blake2b(f"{payment}/{account}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % PPM


def _place(candidate: Ranked, segment: str, picture: Picture | None) -> Place:
    standing = picture.of(candidate.account, segment) if picture else None
    if picture is None or standing is None:
        return Place(None, is_fresh=False, detail="health is not known")
    reading = standing.reading
    alone = "" if reading.is_shared else ", one replica's word"
    detail = (
        f"weight {reading.weight_ppm} ppm, breaker {reading.state}, share {standing.share_ppm} ppm,"
        f" heard {picture.age_ms} ms ago{alone}"
    )
    return Place(standing, picture.is_fresh, detail)


def _propensity_ppm(chosen: int, free: Sequence[int], places: Sequence[Place]) -> int:
    """How likely this candidate was to come first: by its draw, or because all draws failed."""
    none_before, likely = PPM, 0
    for i in free:
        if i == chosen:
            likely = none_before * places[i].share_ppm // PPM
        none_before = none_before * (PPM - places[i].share_ppm) // PPM
    if chosen == min(free, key=lambda i: (places[i].rank, i)):
        likely += none_before
    return max(1, min(PPM, likely))
