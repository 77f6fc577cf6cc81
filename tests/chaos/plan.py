"""What goes wrong, when, and for how long: one seed makes one plan, again and again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from cashier_mesh.unit import Seat
from tests.chaos.proxy import Mood

# Longer than the leases of both services, so that a frozen owner wakes up as a stranger.
PAST_LEASE_S = 11.5
ROUND_S, CALM_S = 30.0, 15.0
QUIET_S = 1.0  # the first payments are under way before the first fault


class Harm(StrEnum):
    """Kinds of faults."""

    KILL = "kill"
    FREEZE = "freeze"
    POSTGRES = "postgres"
    VALKEY = "valkey"
    SANDBOX = "sandbox"
    OUTAGE = "outage"
    BROWNOUT = "brownout"
    RULE = "rule"
    WIRE = "wire"


@dataclass(frozen=True, slots=True)
class Fault:
    """From `at_s` after the start something is wrong for `for_s` seconds."""

    at_s: float
    for_s: float
    harm: Harm
    target: str = ""  # name of a process, a wire or a processor account
    detail: str = ""

    def __str__(self) -> str:
        what = " ".join(filter(None, (self.harm, self.target, self.detail)))
        return f"{self.at_s:6.2f} s: {what} for {self.for_s:.2f} s"


OUTAGES = ("refuse", "http_503", "hang", "lost_answer")
RULES = (
    "capture lost_answer", "capture 500_after", "capture held_3", "refund lost_answer",
    "refund held_3", "refund 500_before", "void lost_answer", "void held_3", "payout held_3",
    "payout 500_after", "charge held_3", "charge 500_after",
)  # fmt: skip
MOODS = tuple(mood for mood in Mood if mood is not Mood.PASS)


def plan(
    seed: int, length_s: float, *, seats: Sequence[Seat], wires: Sequence[str],
    accounts: Sequence[str],
) -> list[Fault]:  # fmt: skip
    """The faults of a run in their order. Each kind comes at least once, however short the run."""
    chance = random.Random(f"chaos {seed}")
    faults: list[Fault] = []
    while True:
        again = _each_once(chance, seats, wires, accounts)
        begun = len(faults)
        # A longer run is the short one again and again, elsewhere and otherwise, with calm between.
        start_s = QUIET_S + (ROUND_S + CALM_S) * (begun // len(again))
        if begun and start_s + ROUND_S > length_s:
            return sorted(faults, key=lambda fault: (fault.at_s, fault.harm, fault.target))
        room_s = min(ROUND_S, length_s - start_s)
        for fault in again:
            latest_s = max(room_s - fault.for_s, 0.0)
            faults.append(replace(fault, at_s=start_s + chance.uniform(0.0, latest_s)))


def _each_once(
    chance: random.Random, seats: Sequence[Seat], wires: Sequence[str], accounts: Sequence[str]
) -> list[Fault]:
    services = {seat.service for seat in seats}
    names = {service: [s for s in seats if s.service == service] for service in services}

    frozen = [
        chance.choice([s.name for s in names[service] if s.role == "serve"])
        for service in ("gateway", "router")
    ]

    def one(service: str, role: str) -> str:
        """One that is not frozen: who is killed then does not wake up as a stranger."""
        free = [s.name for s in names[service] if s.role == role and s.name not in frozen]
        return chance.choice(free)

    def brief(low_s: float = 0.5, high_s: float = 3.0) -> float:
        return round(chance.uniform(low_s, high_s), 2)

    killed = [one("router", "serve"), one("router", "work"), one("gateway", "serve")]
    killed += [one("gateway", "work"), one(chance.choice(sorted(names)), "serve")]
    killed += [one(chance.choice(sorted(names)), "work")]
    faults = [Fault(0.0, brief(), Harm.KILL, name) for name in killed]
    faults += [Fault(0.0, PAST_LEASE_S, Harm.FREEZE, name) for name in frozen]
    faults += [Fault(0.0, brief(), h) for h in (Harm.POSTGRES, Harm.VALKEY, Harm.SANDBOX)]
    faults += [
        Fault(0.0, brief(), Harm.OUTAGE, chance.choice(accounts), mode)
        for mode in chance.sample(OUTAGES, 2)
    ]
    faults.append(Fault(0.0, brief(2.0, 5.0), Harm.BROWNOUT, chance.choice(accounts)))
    faults += [
        Fault(0.0, brief(2.0, 5.0), Harm.RULE, chance.choice(accounts), rule)
        for rule in chance.sample(RULES, 2)
    ]
    for mood in MOODS:
        places = chance.sample(list(wires), 2)
        faults += [Fault(0.0, brief(1.5, 3.0), Harm.WIRE, place, mood) for place in places]
    return faults
