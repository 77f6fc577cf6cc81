"""A choice that differs from run to run, and that a printed number makes again."""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

import pytest

SEED_VARIABLE = "TEST_SEED"
T = TypeVar("T")


def leave_to_the_long_run(items: Sequence[pytest.Item]) -> None:
    """Of a test marked `some(n)` the ordinary run has n forms of the seed's choice."""
    forms: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("some") is not None:
            forms.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for name, them in forms.items():
        (count,) = them[0].get_closest_marker("some").args
        chance = random.Random(f"{os.environ[SEED_VARIABLE]}/{name}")
        kept = chance.sample(them, min(count, len(them)))
        for item in them:
            if item not in kept:
                item.add_marker(pytest.mark.long)


def picked(choices: Sequence[T], count: int) -> list[T]:
    """So many of the choices, in their order; the run's seed says which."""
    seed = os.environ[SEED_VARIABLE]
    chosen = random.Random(seed).sample(range(len(choices)), count)
    print(f"{SEED_VARIABLE}={seed} chose {[choices[number] for number in sorted(chosen)]}")
    return [choices[number] for number in sorted(chosen)]
