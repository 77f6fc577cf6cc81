"""A process dies, or stops past its lease, before each single step of a story."""

import pytest

from tests.simulation.points import STORIES, Point, Story, findings, lengths
from tests.support.seed import picked

KILLED, STOPPED_S = (None,), (45.0, 120.0)
# Of each story the ordinary run takes so many points; the long one takes all, and all stops.
PICKED, PAIRS_PICKED = 8, 200


def points(story: Story, fates: tuple[float | None, ...]) -> list[Point]:
    """Every step of every process that takes part in the story."""
    return [
        Point(process, step, fate)
        for process, steps in lengths(story).items()
        for step in range(1, steps + 1)
        for fate in fates
    ]


def prove(story: Story, chosen: list[Point]) -> None:
    for point in chosen:
        found = findings(story, point)

        assert [] == found, f"{story.name} with {point}: {found}"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_death_before_some_step_costs_nobody_money(story):
    prove(story, picked(points(story, (*KILLED, *STOPPED_S)), PICKED))


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_death_or_a_stop_before_any_step_costs_nobody_money(story):
    prove(story, points(story, (*KILLED, *STOPPED_S)))


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_two_deaths_cost_nobody_money(story):
    every = points(story, KILLED)
    pairs = [(first, second) for first in every for second in every if first != second]
    for pair in picked(pairs, PAIRS_PICKED):
        found = findings(story, *pair)

        assert [] == found, f"{story.name} with {pair}: {found}"
