"""What the processor keeps: a share in basis points and fixed amounts per currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Fees in minor units; a currency without a fixed amount has none."""

    percent_bps: int = 0
    fixed_minor: Mapping[str, int] = field(default_factory=dict)
    payout_fixed_minor: Mapping[str, int] = field(default_factory=dict)
    chargeback_fixed_minor: Mapping[str, int] = field(default_factory=dict)

    def charge(self, amount: int, currency: str) -> int:
        """Return the fee on a captured amount, rounded half up, never above the amount."""
        share = (amount * self.percent_bps + BASIS_POINTS // 2) // BASIS_POINTS
        return min(amount, share + self.fixed_minor.get(currency, 0))

    def payout(self, currency: str) -> int:
        """Return the fee on one payout to a customer."""
        return self.payout_fixed_minor.get(currency, 0)

    def chargeback(self, currency: str) -> int:
        """Return the penalty for one chargeback."""
        return self.chargeback_fixed_minor.get(currency, 0)
