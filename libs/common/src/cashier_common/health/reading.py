"""What is told about a scope's segment: to routers in short, to people at length."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cashier_common.health.breaker import Breaker, State
from cashier_common.health.tally import (
    PPM,
    Counts,
    Result,
    faults,
    quantile_ms,
    samples,
    tail_ms,
)

KEY_PREFIX: Final = "cashier:health:"
PUBLISHED_TTL_S: Final = 15.0
"""So long the last word of a service that fell silent can be read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One segment of one scope; the segment "" stands for all of it.

    `is_shared` says whether all replicas agreed on it, or one of them saw it alone.
    """

    scope: str
    segment: str
    weight_ppm: int
    state: State
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Detail:
    """The same at length: counts of the last minute, its baseline and the breaker's record."""

    reading: Reading
    breaker: Breaker
    counts: Counts = field(default_factory=dict)
    baseline_ms: int | None = None


def key_of(publisher: str) -> str:
    """The hash that a publisher's readings are in, and the channel that tells of them."""
    return f"{KEY_PREFIX}{{{publisher}}}:readings"


def encode(readings: Iterable[Reading]) -> dict[str, str]:
    """Fields of the hash."""
    return {
        f"{told.scope}|{told.segment}": json.dumps(
            [told.weight_ppm, told.state.value, int(told.is_shared)], separators=(",", ":")
        )
        for told in readings
    }


def decode(fields: Mapping[str, str | bytes]) -> list[Reading]:
    """What `encode` wrote; what cannot be read (another version's) is left out."""
    readings: list[Reading] = []
    for name, text in fields.items():
        scope, _, segment = name.partition("|")
        try:
            weight_ppm, state, is_shared = json.loads(text)
            readings.append(Reading(scope, segment, int(weight_ppm), State(state), bool(is_shared)))
        except (ValueError, TypeError):
            continue
    return readings


def figures(detail: Detail) -> dict[str, int]:
    """What a person wants to know, by the names that the contract's fields have."""
    counts, reading = detail.counts, detail.reading
    ended = samples(counts)
    return {
        "weight_ppm": reading.weight_ppm,
        "sample_count": ended,
        "success_ppm": (ended - faults(counts)) * PPM // ended if ended else 0,
        "success_count": counts.get(Result.SUCCESS, 0),
        "soft_decline_count": counts.get(Result.SOFT_NO, 0),
        "hard_decline_count": counts.get(Result.HARD_NO, 0),
        "technical_failure_count": counts.get(Result.FAILED, 0),
        "timeout_count": counts.get(Result.TIMED_OUT, 0),
        "latency_p50_ms": quantile_ms(counts, PPM // 2),
        "latency_p95_ms": quantile_ms(counts, 950_000),
        "latency_p99_ms": tail_ms(counts),
        "latency_baseline_p99_ms": detail.baseline_ms or 0,
    }
