"""What came of exchanges, as sparse counts that add up over time, segments and replicas."""

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, TypeAlias

Counts: TypeAlias = dict[int, int]
"""Code to count. A code is a `Result`, or LATENCY_BASE plus the place of a latency's bin."""


class Result(IntEnum):
    """What one exchange came to. Only FAILED and TIMED_OUT are the other side's fault."""

    SUCCESS = 0
    SOFT_NO = 1  # it works, and says no for now
    HARD_NO = 2  # it works, and says no
    FAILED = 3  # refused connection, 5xx, "not available", an answer that nobody can read
    TIMED_OUT = 4
    PROBE_GOOD = 5  # beside the result: what a half-open breaker let through worked
    PROBE_BAD = 6


FAULTS: Final = frozenset({Result.FAILED, Result.TIMED_OUT})
SAMPLES: Final = (
    Result.SUCCESS, Result.SOFT_NO, Result.HARD_NO, Result.FAILED, Result.TIMED_OUT,
)  # fmt: skip
LATENCY_BASE: Final = 16
BINS_PER_OCTAVE: Final = 8
"""A bin is 9 % wide: fine enough for a quantile that is compared with twice another one."""
LATENCY_MAX_MS: Final = 120_000
"""Twice the longest that anybody waits."""
CODE_MAX: Final = LATENCY_BASE + math.ceil(BINS_PER_OCTAVE * math.log2(LATENCY_MAX_MS))
PPM: Final = 1_000_000
TAIL_PPM: Final = 990_000


def add(counts: Counts, code: int, count: int = 1) -> None:
    """Count something in place."""
    counts[code] = counts.get(code, 0) + count


def merge(into: Counts, *others: Counts) -> Counts:
    """Add `others` to `into`, in place; the order does not matter."""
    for other in others:
        for code, count in other.items():
            into[code] = into.get(code, 0) + count
    return into


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of all."""
    return merge({}, *counts)


def samples(counts: Counts) -> int:
    """Exchanges that came to an end."""
    return sum(counts.get(result, 0) for result in SAMPLES)


def faults(counts: Counts) -> int:
    """Those of them that the other side failed."""
    return counts.get(Result.FAILED, 0) + counts.get(Result.TIMED_OUT, 0)


def latency_code(took_ms: float) -> int:
    """The code of the bin that a latency falls into."""
    within = min(max(took_ms, 1.0), LATENCY_MAX_MS)
    return LATENCY_BASE + int(BINS_PER_OCTAVE * math.log2(within))


def latencies(counts: Counts) -> int:
    """How many latencies were counted."""
    return sum(count for code, count in counts.items() if code >= LATENCY_BASE)


def quantile_ms(counts: Counts, share_ppm: int) -> int:
    """The latency that this share of the exchanges does not exceed, at most 9 % too high; 0: none.

    Of few exchanges the slowest single one never decides: one outlier is no tail.
    """
    count = latencies(counts)
    if count == 0:
        return 0
    rank = min(-(-count * share_ppm // PPM), max(count - 1, 1))
    seen = 0
    for code in sorted(code for code in counts if code >= LATENCY_BASE):
        seen += counts[code]
        if seen >= rank:
            return math.ceil(2 ** ((code - LATENCY_BASE + 1) / BINS_PER_OCTAVE))
    raise AssertionError("the ranks of a histogram end with its count")  # pragma: no cover


def tail_ms(counts: Counts) -> int:
    """The 99th percentile."""
    return quantile_ms(counts, TAIL_PPM)
