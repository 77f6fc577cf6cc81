"""Chance that repeats: draws come from a hash, so the order of arrival does not matter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from statistics import NormalDist

MILLION_PPM = 1_000_000
# Crockford's alphabet in lower case: no i, l, o, u, so an id is hard to misread.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH_CHARS = 24
_P99 = NormalDist().inv_cdf(0.99)
LATENCY_MAX_MS = 120_000


def draw_ppm(seed: int, *parts: str | int) -> int:
    """Return 0 … 999 999, the same for the same seed and parts."""
    return _number(seed, parts) % MILLION_PPM


def stable_id(prefix: str, seed: int, *parts: str | int) -> str:
    """Return `<prefix>_<24 characters>`, the same for the same seed and parts."""
    number = int.from_bytes(_digest(seed, parts, size=15), "big")
    letters = [_ALPHABET[(number >> (5 * place)) & 31] for place in range(ID_LENGTH_CHARS)]
    return f"{prefix}_{''.join(letters)}"


def short_id(name: str, *, chars: int) -> str:
    """Return the first characters of an id behind its prefix in capitals: `ch_ab…` → `AB…`."""
    return name.partition("_")[2][:chars].upper()


class LatencyKind(StrEnum):
    """The shape of the delay before an effect."""

    NONE = "none"
    FIXED = "fixed"
    UNIFORM = "uniform"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution by two numbers: fixed (ms, 0), uniform (low, high), lognormal (p50, p99)."""

    kind: LatencyKind = LatencyKind.NONE
    first_ms: int = 0
    second_ms: int = 0

    def of(self, ppm: int) -> float:
        """Return the delay in seconds at that millionth of the distribution."""
        if self.kind is LatencyKind.NONE:
            return 0.0
        if self.kind is LatencyKind.FIXED:
            return self.first_ms / 1000
        if self.kind is LatencyKind.UNIFORM:
            return (self.first_ms + (self.second_ms - self.first_ms) * ppm / MILLION_PPM) / 1000
        spread = math.log(self.second_ms / self.first_ms) / _P99
        place = NormalDist().inv_cdf((ppm + 0.5) / MILLION_PPM)
        return min(self.first_ms * math.exp(spread * place), LATENCY_MAX_MS) / 1000


def _number(seed: int, parts: tuple[str | int, ...]) -> int:
    return int.from_bytes(_digest(seed, parts, size=8), "big")


def _digest(seed: int, parts: tuple[str | int, ...], *, size: int) -> bytes:
    text = "\x1f".join(map(str, parts))
    return blake2b(f"{seed}\x1f{text}".encode(), digest_size=size).digest()
