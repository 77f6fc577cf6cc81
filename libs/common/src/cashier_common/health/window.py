"""The last minute in buckets of half a second, by segment; old buckets fall off."""

from collections.abc import Iterator, Mapping
from typing import Final

from cashier_common.health.tally import Counts, add, merge, samples

BUCKET_MS: Final = 500
"""Ten failures of a subject with 20 exchanges a second are seen in one of these."""
WINDOW_MS: Final = 60_000
BUCKETS_MAX: Final = WINDOW_MS // BUCKET_MS
YOUNG_BUCKETS_MIN: Final = 2
"""The one that is being filled and a whole one: a burst of some milliseconds is no trend."""


def bucket_of(at_ms: int) -> int:
    """Number of the bucket that a moment falls into."""
    return at_ms // BUCKET_MS


class Window:
    """Counts by bucket and segment."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[str, Counts]] = {}

    def count(self, bucket: int, segment: str, code: int, count: int = 1) -> None:
        """Count something."""
        add(self._buckets.setdefault(bucket, {}).setdefault(segment, {}), code, count)

    def put(self, bucket: int, content: dict[str, Counts]) -> None:
        """Let a bucket be what somebody else knows of it."""
        if content:
            self._buckets[bucket] = content
        else:
            self._buckets.pop(bucket, None)

    def prune(self, now: int) -> None:
        """Forget what is older than the window."""
        for bucket in [bucket for bucket in self._buckets if bucket <= now - BUCKETS_MAX]:
            del self._buckets[bucket]

    def segments(self) -> set[str]:
        """Segments that something is known of."""
        return {segment for content in self._buckets.values() for segment in content}

    def between(self, first: int, last: int, segment: str | None = None) -> Counts:
        """The sum over these buckets, both ends included; of all segments for None."""
        counts: Counts = {}
        for bucket in self._buckets:
            if first <= bucket <= last:
                merge(counts, *_of(self._buckets[bucket], segment))
        return counts

    def youngest(
        self, now: int, *, least: int, since: int = 0, segment: str | None = None
    ) -> Counts:
        """The youngest buckets that hold `least` exchanges together, or all there are since then.

        Young enough to follow what happens now, and enough to mean something.
        """
        counts: Counts = {}
        oldest = max(since, now - BUCKETS_MAX + 1)
        for bucket in sorted(self._buckets, reverse=True):
            if bucket < oldest:
                break
            is_young = bucket > now - YOUNG_BUCKETS_MIN
            if not is_young and samples(counts) >= least:
                break
            merge(counts, *_of(self._buckets[bucket], segment))
        return counts


def _of(content: Mapping[str, Counts], segment: str | None) -> Iterator[Counts]:
    if segment is None:
        yield from content.values()
    elif segment in content:
        yield content[segment]
