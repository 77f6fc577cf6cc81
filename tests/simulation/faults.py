"""How often what goes wrong; one number each, so that a scenario can switch one of them off."""

import random
from dataclasses import dataclass, field

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Trip:
    """One way over a network."""

    delay_s: float
    copies: int  # 0: lost, 2: delivered twice

    @property
    def is_lost(self) -> bool:
        return self.copies == 0


@dataclass(frozen=True)
class Rates:
    """Chances in parts per million; `*_every_s` are means of virtual seconds, 0 means never."""

    lost: int = 10_000
    doubled: int = 5_000
    held: int = 3_000  # for minutes: delivered when nobody waits any more
    lost_commit: int = 3_000
    risk_away: int = 5_000
    processor_refuses: int = 8_000  # connection refused: provably unsent
    processor_fails: int = 15_000  # 5xx, half of them after the effect
    wrong_amount: int = 2_000
    notice_lost: int = 100_000
    kill_every_s: float = 6.0
    stop_every_s: float = 20.0
    database_every_s: float = 90.0
    cut_every_s: float = 60.0
    processor_every_s: float = 60.0


CALM = Rates(
    lost=0, doubled=0, held=0, lost_commit=0, risk_away=0, processor_refuses=0, processor_fails=0,
    wrong_amount=0, notice_lost=0, kill_every_s=0, stop_every_s=0, database_every_s=0,
    cut_every_s=0, processor_every_s=0,
)  # fmt: skip


@dataclass
class Faults:
    """Draws them. Nothing goes wrong any more once `is_over` is set: the world calms down."""

    rates: Rates
    rng: random.Random
    is_over: bool = field(default=False)

    def happens(self, ppm: int) -> bool:
        """Whether something of this chance happens now."""
        return not self.is_over and self.rng.randrange(PPM) < ppm

    def trip(self) -> Trip:
        """The next way of a message."""
        delay_s = self.rng.uniform(0.001, 0.02)
        if self.is_over:
            return Trip(delay_s, 1)
        drawn, rates = self.rng.randrange(PPM), self.rates
        if drawn < rates.lost:
            return Trip(delay_s, 0)
        if drawn < rates.lost + rates.doubled:
            return Trip(delay_s, 2)
        if drawn < rates.lost + rates.doubled + rates.held:
            return Trip(self.rng.uniform(5, 900), 1)
        return Trip(delay_s, 1)
