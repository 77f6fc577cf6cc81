"""Hundreds of payments of every kind per seed, and everything goes wrong but the money."""

import os
from pathlib import Path

import pytest

from tests.simulation.checker import Finding, check
from tests.simulation.faults import Rates
from tests.simulation.people import Operators
from tests.simulation.world import World

SEED_VARIABLE = "CASHIER_SIMULATION_SEED"
KEPT = Path(__file__).with_name("seeds.txt")
PAYMENTS, OVER_S = 250, 15.0
ORDINARY, FRESH_LONG = 2, 60
SHOWN_MAX = 12


def kept_seeds() -> list[str]:
    """Seeds of bugs that were found once; a line is a seed and, behind it, what it found."""
    lines = (line.partition("#")[0].strip() for line in KEPT.read_text().splitlines())
    return [line for line in lines if line]


def fresh_seeds(count: int) -> list[str]:
    """Other seeds in every run, or the one that is asked for."""
    asked = os.environ.get(SEED_VARIABLE)
    if asked:
        return [asked]
    return [f"{os.environ['TEST_SEED']}.{number}" for number in range(count)]


def ordinary_seeds() -> list[str]:
    """The same in every ordinary run: what a new seed finds belongs to whoever looks for it."""
    return [os.environ.get(SEED_VARIABLE, str(number)) for number in range(ORDINARY)]


def told(seed: str, findings: list[Finding]) -> str:
    """What is wrong, and the command that shows it again."""
    lines = [f"{finding.rule} {finding.about}: {finding.detail}" for finding in findings]
    again = f"{SEED_VARIABLE}={seed} python -m pytest tests/simulation/test_seeds.py -k asked_for"
    more = f"… and {len(lines) - SHOWN_MAX} more" if len(lines) > SHOWN_MAX else ""
    return "\n".join([f"replay: {again}", *lines[:SHOWN_MAX], more])


def lived(seed: str, rates: Rates | None = None) -> tuple[list[Finding], list[Finding]]:
    """A world's findings: at rest, and again after people ended what only they can end."""
    world = World(seed, rates or Rates())
    try:
        at_rest = check(world.run(PAYMENTS, OVER_S).drain())
        return at_rest, check(Operators(world).work(), people=False)
    finally:
        world.close()


def prove(seed: str) -> None:
    at_rest, in_the_end = lived(seed)

    assert [] == at_rest, told(seed, at_rest)
    assert [] == in_the_end, told(seed, in_the_end)


@pytest.mark.some(3)
@pytest.mark.parametrize("seed", kept_seeds())
def test_a_seed_that_found_a_bug_once_finds_nothing(seed):
    prove(seed)


@pytest.mark.parametrize("number", range(ORDINARY))
def test_no_seed_loses_or_doubles_money(number):
    prove(ordinary_seeds()[number])


def test_the_seed_that_is_asked_for_loses_no_money():
    """`CASHIER_SIMULATION_SEED` replays what failed."""
    if SEED_VARIABLE not in os.environ:
        pytest.skip(f"{SEED_VARIABLE} names no seed")

    prove(os.environ[SEED_VARIABLE])


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_no_seed_of_many_loses_or_doubles_money():
    for seed in fresh_seeds(FRESH_LONG):
        prove(seed)


def test_a_seed_lives_the_same_life_again():
    """Without that, a failing seed could not be replayed."""

    def life() -> tuple[object, ...]:
        world = World("again")
        try:
            world.run(60, 5).drain()
            states = [(p.name, p.version, p.state) for p in world.router_tables.all()]
            return world.loop.steps, world.loop.time(), world.ledger, states
        finally:
            world.close()

    assert life() == life()
