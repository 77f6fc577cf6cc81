"""The breaker opens after a few failures in a row and lets one at a time try again."""

from cashier_common.redis.breaker import FAILURES_MAX, OPEN_S, Breaker, State


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def an_open_breaker() -> tuple[Breaker, Time]:
    time = Time()
    breaker = Breaker(time)
    assert [breaker.failed() for _ in range(FAILURES_MAX)] == [False] * (FAILURES_MAX - 1) + [True]
    return breaker, time


def test_single_failures_open_nothing():
    breaker = Breaker(Time())

    for _ in range(10):
        assert not breaker.failed()
        assert not breaker.succeeded()

    assert breaker.allows()


def test_an_open_breaker_lets_nobody_through_until_its_time_is_over():
    breaker, time = an_open_breaker()

    assert not breaker.allows()
    time.now = OPEN_S

    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_successful_try_closes_it_and_says_so_once():
    breaker, time = an_open_breaker()
    time.now = OPEN_S
    breaker.allows()

    assert breaker.succeeded()
    assert not breaker.succeeded()
    assert breaker.state is State.CLOSED


def test_a_failed_try_opens_it_again_without_saying_so():
    breaker, time = an_open_breaker()
    time.now = OPEN_S
    breaker.allows()

    assert not breaker.failed()
    assert not breaker.allows()
    time.now = 2 * OPEN_S
    assert breaker.allows()


def test_a_try_that_was_given_up_blocks_nobody_for_ever():
    breaker, time = an_open_breaker()
    time.now = OPEN_S
    breaker.allows()
    breaker.gave_up()
    time.now = 2 * OPEN_S

    assert breaker.allows()
