"""Traffic leaves what fails and comes back, with many seeds, in virtual time."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.support.health_world import DEAD, FINE, HANGING, ILL, RATE_PER_S, SLOW, Weather, World

BEGINS_S, ENDS_S, OVER_S = 30.0, 60.0, 100.0
SEEDS = range(12)


def sky(weather: Weather, *struck: str):
    def at(account: str, age_s: float) -> Weather:
        return weather if account in struck and BEGINS_S <= age_s < ENDS_S else FINE

    return at


def share(world: World, account: str, since_s: float, until_s: float) -> float:
    """The part of the payments that went there first."""
    found = [one for one in world.routed if since_s <= one.at_s < until_s]
    return sum(one.first == account for one in found) / len(found)


@pytest.mark.some(2)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("weather", "left_after_s", "stays"),
    [(DEAD, 2.5, 0.06), (HANGING, 5.0, 0.07), (SLOW, 5.0, 0.07), (ILL, 5.0, 0.15)],
    ids=["dead", "hanging", "slow", "ill"],
)  # fmt: skip
def test_traffic_leaves_what_fails_and_comes_back(seed, weather, left_after_s, stays):
    """What fails half of the time passes its three probes now and then, and gets a little more."""
    world = World(seed, ("cheap", "dear"), sky(weather, "cheap")).run(OVER_S)

    assert share(world, "cheap", 10, BEGINS_S) > 0.99
    assert share(world, "cheap", BEGINS_S + left_after_s, ENDS_S) <= stays
    assert share(world, "cheap", ENDS_S + 30, OVER_S) > 0.95


@pytest.mark.some(1)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_dead_account_is_tried_by_few(seed):
    world = World(seed, ("cheap", "dear"), sky(DEAD, "cheap")).run(ENDS_S)

    tried = [one for one in world.routed if one.at_s >= BEGINS_S and "cheap" in one.sent]
    assert len([one for one in tried if one.at_s < BEGINS_S + 3]) <= 1.5 * RATE_PER_S
    assert len(tried) <= 2.5 * RATE_PER_S
    assert len([one for one in world.routed if not one.paid]) <= 0.03 * len(world.routed)


@pytest.mark.some(1)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weather", [DEAD, SLOW, ILL], ids=["dead", "slow", "ill"])
def test_what_fails_together_stays_in_order(seed, weather):
    """An issuer or the network is down: whoever is better for a second must not get it all."""
    everybody = ("cheap", "dear", "dearest")
    world = World(seed, everybody, sky(weather, *everybody)).run(ENDS_S)

    settled_s = BEGINS_S + 6
    firsts = Counter(one.first for one in world.routed if one.at_s >= settled_s)
    by_window = [share(world, "cheap", s, s + 2) for s in range(int(settled_s), int(ENDS_S) - 1, 2)]
    swings = sum(abs(b - a) for a, b in pairwise(by_window))
    assert max(firsts.values()) > 0.9 * firsts.total()
    assert swings * 60 / (ENDS_S - settled_s) < 4
    if weather is not SLOW:  # an account that had no traffic has no baseline to be slower than
        assert "cheap" == firsts.most_common(1)[0][0]


@pytest.mark.some(1)
@pytest.mark.parametrize("seed", SEEDS)
def test_shares_move_at_a_bounded_speed(seed):
    world = World(seed, ("cheap", "dear"), sky(DEAD, "cheap")).run(OVER_S)

    for before, after in pairwise(world.shares):
        for account in before:
            assert -250_000 <= after[account] - before[account] <= 37_500
