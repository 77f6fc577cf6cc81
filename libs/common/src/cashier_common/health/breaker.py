"""When to leave what is away alone, and how to find out that it is back.

One record stands for all replicas: each computes its next form from the counts that they share, and
writes it where nobody was faster.

`python -m cashier_common.statetable cashier_common.health.breaker` prints the diagram:

    CLOSED --TRIP--> OPEN --COOL--> HALF_OPEN --PROVE--> CLOSED
                      ^-------------TRIP---'
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cashier_common.health.tally import PPM, Counts, Result, faults, samples
from cashier_common.health.weight import SAMPLES_MIN
from cashier_common.statetable import StateTable


class State(StrEnum):
    """CLOSED lets all through, OPEN none, HALF_OPEN a few that show how it is."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Event(StrEnum):
    """What moves a breaker."""

    TRIP = "TRIP"  # half of the youngest exchanges are faults; or one probe is
    COOL = "COOL"  # the time to leave it alone is over
    PROVE = "PROVE"  # the probes worked


S, E = State, Event
BREAKER = StateTable(
    name="Breaker",
    initial=S.CLOSED,
    transitions={
        (S.CLOSED, E.TRIP): S.OPEN,
        (S.OPEN, E.COOL): S.HALF_OPEN,
        (S.HALF_OPEN, E.PROVE): S.CLOSED,
        (S.HALF_OPEN, E.TRIP): S.OPEN,
    },
)
TABLES = [BREAKER]

TRIP_PPM: Final = 500_000
OPEN_FIRST_MS: Final = 1_000
OPEN_MAX_MS: Final = 6_000
"""What is back is noticed within this: its customers wait for it."""
JITTER_PPM: Final = 200_000
CALM_MS: Final = 60_000
"""After so long a time without a trip the next one is a first one again."""
PROBES_MIN: Final = 3
PROBE_EVERY_MS: Final = 2_000
"""Besides the first three, one more may try in each of these: a probe can get lost."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """The record. `version` counts the transitions; `trips` those in a row, for the back-off."""

    state: State = State.CLOSED
    version: int = 0
    since_ms: int = 0
    retry_at_ms: int = 0
    trips: int = 0

    def encode(self) -> str:
        """As text, for a store that compares texts."""
        return f"{self.state} {self.version} {self.since_ms} {self.retry_at_ms} {self.trips}"

    @classmethod
    def decode(cls, text: str) -> "Breaker | None":
        """The record of a text; None for one that another version wrote."""
        try:
            state, *numbers = text.split(" ")
            return cls(State(state), *(int(number) for number in numbers))
        except (ValueError, TypeError):
            return None

    def permits(self, now_ms: int) -> int:
        """How many probes may have been let through by now, by all replicas together."""
        if self.state is not State.HALF_OPEN:
            return 0
        return PROBES_MIN + max(0, now_ms - self.since_ms) // PROBE_EVERY_MS


def step(breaker: Breaker, counts: Counts, *, now_ms: int, chance_ppm: int) -> Breaker:
    """The record as it is now.

    `counts` are the youngest exchanges while CLOSED, and all since `since_ms` while HALF_OPEN;
    `chance_ppm` spreads the ends of the back-offs.
    """
    event = _event(breaker, counts, now_ms)
    if event is None:
        return breaker
    after = replace(
        breaker,
        state=BREAKER.next(breaker.state, event),
        version=breaker.version + 1,
        since_ms=now_ms,
        retry_at_ms=0,
    )
    if event is not E.TRIP:
        return after
    calm = breaker.state is S.CLOSED and now_ms - breaker.since_ms > CALM_MS
    trips = 1 if calm else breaker.trips + 1
    return replace(after, trips=trips, retry_at_ms=now_ms + backoff_ms(trips, chance_ppm))


def backoff_ms(trips: int, chance_ppm: int) -> int:
    """How long to leave it alone: doubled each time, capped, longer or shorter by up to 20 %."""
    plain = min(OPEN_FIRST_MS << min(trips - 1, 16), OPEN_MAX_MS)
    return plain * (PPM - JITTER_PPM + 2 * JITTER_PPM * chance_ppm // PPM) // PPM


def _event(breaker: Breaker, counts: Counts, now_ms: int) -> Event | None:
    match breaker.state:
        case State.CLOSED:
            ended = samples(counts)
            if ended >= SAMPLES_MIN and faults(counts) * PPM >= ended * TRIP_PPM:
                return E.TRIP
        case State.OPEN:
            if now_ms >= breaker.retry_at_ms:
                return E.COOL
        case State.HALF_OPEN:
            if counts.get(Result.PROBE_BAD, 0) > 0:
                return E.TRIP
            if counts.get(Result.PROBE_GOOD, 0) >= PROBES_MIN:
                return E.PROVE
    return None
