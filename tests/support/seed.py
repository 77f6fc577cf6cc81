"""A choice that differs from run to run, and that a printed number makes again."""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

SEED_VARIABLE = "TEST_SEED"
T = TypeVar("T")


def picked(choices: Sequence[T], count: int) -> list[T]:
    """So many of the choices, in their order; the run's seed says which."""
    seed = os.environ[SEED_VARIABLE]
    chosen = random.Random(seed).sample(range(len(choices)), count)
    print(f"{SEED_VARIABLE}={seed} chose {[choices[number] for number in sorted(chosen)]}")
    return [choices[number] for number in sorted(chosen)]
