"""How well accounts are, as a router knows it, and the share of payments that each gets.

A pure state machine: news and time lead from one picture to the next. An account in good standing
gets every payment that its place in the order gives it; one that sank gets a few, so that somebody
sees when it is back. Shares move at a bounded speed, and down faster than up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from cashier_common.health.breaker import State
from cashier_common.health.reading import Reading

PPM: Final = 1_000_000
SINK_PPM: Final = 500_000
"""A weight below this makes an account sink…"""
RETURN_PPM: Final = 700_000
"""…and one of this or more lets it return: between them nothing changes, so nothing flutters."""
PROBE_SHARE_PPM: Final = 40_000
"""What a sunk or half-open account gets: under the 5 % that may stay when traffic has left."""
RISE_PPM_PER_S: Final = 150_000
FALL_PPM_PER_S: Final = 1_000_000
FRESH_MS: Final = 5_000
"""News are published every second; older ones are used with caution: nothing is left out."""
CAUTION_MS: Final = 30_000
"""Beyond this nothing is known: all accounts are equal again."""
UNPROBED_MS: Final = 30_000
"""A breaker that stays half-open so long has too little traffic to be probed by a share of it: then
every payment may try, and the breaker's own permits hold them back."""
UNHEARD_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Standing:
    """One segment of an account: what was read, whether it sank, and the share that it gets."""

    reading: Reading
    is_sunk: bool
    share_ppm: int
    half_open_ms: int = 0

    @property
    def is_well(self) -> bool:
        """Neither sunk nor held by a breaker."""
        return not self.is_sunk and self.reading.state is State.CLOSED


@dataclass(frozen=True, slots=True)
class Picture:
    """All standings of one rail and how old the news are."""

    standings: Mapping[tuple[str, str], Standing] = field(default_factory=dict)
    age_ms: int = UNHEARD_MS

    @property
    def is_fresh(self) -> bool:
        """Whether the news may leave an account out."""
        return self.age_ms <= FRESH_MS

    @property
    def is_known(self) -> bool:
        """Whether the news say anything at all."""
        return self.age_ms <= CAUTION_MS

    def of(self, account: str, segment: str) -> Standing | None:
        """The standing in a segment, or that of the whole account; None where nothing is known."""
        if not self.is_known:
            return None
        return self.standings.get((account, segment)) or self.standings.get((account, ""))

    def heard(self, news: Iterable[Reading], age_ms: int = 0) -> "Picture":
        """The picture after news; an account that is new to us begins where its reading puts it."""
        standings: dict[tuple[str, str], Standing] = {}
        for reading in news:
            key = (reading.scope, reading.segment)
            before = self.standings.get(key) or self.standings.get((reading.scope, ""))
            is_sunk = _is_sunk(reading, before)
            after = Standing(reading, is_sunk, before.share_ppm if before else PPM)
            if before is None:
                after = replace(after, share_ppm=_target(after, is_known=True))
            elif before.reading.state is State.HALF_OPEN is reading.state:
                after = replace(after, half_open_ms=before.half_open_ms)
            standings[key] = after
        return Picture(standings, age_ms)

    def later(self, elapsed_ms: int) -> "Picture":
        """The picture after some time without news: shares go on moving to where they should be."""
        age_ms = min(self.age_ms + elapsed_ms, UNHEARD_MS)
        is_known = age_ms <= CAUTION_MS
        return Picture(
            {
                key: _moved(standing, elapsed_ms, is_known=is_known)
                for key, standing in self.standings.items()
            },
            age_ms,
        )


def _is_sunk(reading: Reading, before: Standing | None) -> bool:
    if before is not None and before.is_sunk:
        return reading.weight_ppm < RETURN_PPM
    return reading.weight_ppm < SINK_PPM


def _target(standing: Standing, *, is_known: bool) -> int:
    if not is_known:
        return PPM
    match standing.reading.state:
        case State.OPEN:
            return 0
        case State.HALF_OPEN if standing.half_open_ms < UNPROBED_MS:
            return PROBE_SHARE_PPM
        case State.HALF_OPEN:
            return PPM
    return PROBE_SHARE_PPM if standing.is_sunk else PPM


def _moved(standing: Standing, elapsed_ms: int, *, is_known: bool) -> Standing:
    target, share = _target(standing, is_known=is_known), standing.share_ppm
    rise, fall = RISE_PPM_PER_S * elapsed_ms // 1_000, FALL_PPM_PER_S * elapsed_ms // 1_000
    share = min(target, share + rise) if target > share else max(target, share - fall)
    half_open_ms = standing.half_open_ms
    if standing.reading.state is State.HALF_OPEN:
        half_open_ms += elapsed_ms
    return replace(standing, share_ppm=share, half_open_ms=half_open_ms)
