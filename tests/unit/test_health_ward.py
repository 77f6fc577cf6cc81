"""What may be sent and what is counted, in one process."""

from cashier_common.health.breaker import Breaker, State
from cashier_common.health.tally import Result, latencies
from cashier_common.health.ward import Stop, Ward
from cashier_common.health.weight import LOW_PPM, Weight, weigh
from cashier_common.regions import region_of


class Time:
    at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def a_ward(**breaker) -> tuple[Ward, Time]:
    time = Time()
    ward = Ward("one", time)
    ward.adopt(Breaker(**breaker) if breaker else ward.breaker)
    return ward, time


def test_beyond_the_limit_nothing_new_is_sent_and_what_was_begun_is_finished():
    ward, _ = a_ward()
    ward.limit = 2
    with ward.exchange("s", is_new=True), ward.exchange("s", is_new=True):
        assert Stop.LIMIT_REACHED is ward.exchange("s", is_new=True).stop
        with ward.exchange("s", is_new=False) as refund:
            assert refund.stop is None

    assert ward.exchange("s", is_new=True).stop is None


def test_what_we_refuse_ourselves_is_not_counted():
    ward, _ = a_ward(state=State.OPEN, version=1, retry_at_ms=9)

    with ward.exchange("s", is_new=True) as exchange:
        assert Stop.BREAKER_OPEN is exchange.stop

    assert {} == ward.take()


def test_a_half_open_breaker_lets_as_many_pass_as_were_permitted():
    ward, _ = a_ward(state=State.HALF_OPEN, version=2)
    ward.permits = 1

    stops = [ward.exchange("s", is_new=True).stop for _ in range(3)]

    assert [None, Stop.PROBES_TAKEN, Stop.PROBES_TAKEN] == stops


def test_a_fault_from_before_the_breakers_turn_is_not_held_against_what_is_there_now():
    ward, _ = a_ward()
    straggler = ward.exchange("s", is_new=True)
    ward.adopt(Breaker(State.HALF_OPEN, 2))

    straggler.tell(Result.TIMED_OUT)
    probe = ward.exchange("s", is_new=False)
    probe.tell(Result.SUCCESS)

    assert {Result.SUCCESS, Result.PROBE_GOOD} == {c for c in ward.take()["s"] if c < 16}


def test_what_hangs_lowers_the_weight_long_before_it_times_out():
    ward, time = a_ward()
    for _ in range(30):
        ward.exchange("s", is_new=True).__enter__()
    time.at_s = 2.1

    counts = ward.take()["s"]

    assert 30 == latencies(counts)
    assert LOW_PPM > weigh(counts, 300, Weight(), now_ms=1).ppm
    assert {} == ward.take()  # and tells it again when its age has doubled
    time.at_s = 4.3
    assert 30 == latencies(ward.take()["s"])


def test_countries_have_regions():
    assert ["NA", "EU", "LATAM", "APAC", "OTHER", ""] == [
        region_of(country) for country in ("US", "DE", "BR", "JP", "ZA", "")
    ]
