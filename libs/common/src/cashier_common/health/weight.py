"""From counts to a weight: 1,000,000 for what works as it always did, 0 for what is away.

    availability = 1                            where at most 5 % of the exchanges are faults,
                   0                            where 50 % are or more, and a line between
    patience     = 2 x max(baseline p99, 500 ms)
    latency      = min(1, patience / p99)
    weight       = availability x latency

Declines are no faults, and neither is what we refused to send ourselves (it is never counted).
With fewer than 10 exchanges the weight before stands, for two minutes; after that it is 1. What had
a low weight needs 3 exchanges to rise: probes bring them.
"""

from dataclasses import dataclass
from typing import Final

from cashier_common.health.tally import PPM, Counts, faults, latencies, samples, tail_ms

SAMPLES_MIN: Final = 10
SAMPLES_MIN_LOW: Final = 3
LOW_PPM: Final = 500_000
FAULTS_FINE_PPM: Final = 50_000
FAULTS_AWAY_PPM: Final = 500_000
PATIENCE_FACTOR: Final = 2
BASELINE_MIN_MS: Final = 500
"""Half a second more is no news to a customer, and a busy machine of ours makes as much."""
BASELINE_UNKNOWN_MS: Final = 2_000
"""What is taken for a baseline before there is one."""
EVIDENCE_LIFE_MS: Final = 120_000
"""So long an old weight stands without anything new."""
SLICE_MS: Final = 10_000
SLICE_SAMPLES_MIN: Final = 20
RISE_PPM: Final = 5_000
"""A baseline rises by half a percent in ten seconds at most: it doubles in 23 minutes, so that a
brownout of minutes does not become the measure of itself."""
FALL_DIVISOR: Final = 5


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight in parts per million and when there was evidence for it, in milliseconds."""

    ppm: int = PPM
    evident_at_ms: int = 0


def weigh(counts: Counts, baseline_ms: int | None, before: Weight, *, now_ms: int) -> Weight:
    """The weight after the youngest exchanges; see the module's text for the formula."""
    needed = SAMPLES_MIN_LOW if before.ppm < LOW_PPM else SAMPLES_MIN
    if samples(counts) < needed and latencies(counts) < needed:
        if now_ms - before.evident_at_ms > EVIDENCE_LIFE_MS:
            return Weight(PPM, before.evident_at_ms)
        return before
    ppm = availability_ppm(counts) * latency_ppm(counts, baseline_ms, needed) // PPM
    return Weight(ppm, now_ms)


def availability_ppm(counts: Counts) -> int:
    """1 at 5 % of faults and fewer, 0 at 50 % and more."""
    ended = samples(counts)
    if ended == 0:
        return PPM
    share = faults(counts) * PPM // ended
    span = FAULTS_AWAY_PPM - FAULTS_FINE_PPM
    return min(PPM, max(0, (FAULTS_AWAY_PPM - share) * PPM // span))


def latency_ppm(counts: Counts, baseline_ms: int | None, needed: int) -> int:
    """1 while the 99th percentile is within patience, and its part of it beyond."""
    if latencies(counts) < needed:
        return PPM
    usual = BASELINE_UNKNOWN_MS if baseline_ms is None else max(baseline_ms, BASELINE_MIN_MS)
    tail = tail_ms(counts)
    return min(PPM, PATIENCE_FACTOR * usual * PPM // tail)


def drift(baseline_ms: int | None, slice_counts: Counts) -> int | None:
    """The baseline after one more slice of time: slow to rise, quick to fall."""
    if latencies(slice_counts) < SLICE_SAMPLES_MIN:
        return baseline_ms
    seen = tail_ms(slice_counts)
    if baseline_ms is None:
        return seen
    if seen <= baseline_ms:
        return baseline_ms - (baseline_ms - seen) // FALL_DIVISOR
    return min(seen, baseline_ms + max(1, baseline_ms * RISE_PPM // PPM))
