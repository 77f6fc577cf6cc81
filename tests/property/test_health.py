"""Counting and judging, for any counts: what is counted adds up, and what is judged is bounded."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_common.health.breaker import (
    BREAKER,
    OPEN_MAX_MS,
    PROBES_MIN,
    Breaker,
    State,
    backoff_ms,
    step,
)
from cashier_common.health.tally import (
    PPM,
    Result,
    add,
    faults,
    latency_code,
    quantile_ms,
    samples,
    tail_ms,
    total,
)
from cashier_common.health.weight import LOW_PPM, Weight, drift, weigh

NO = Weight()
RESULTS = [r for r in Result if r not in {Result.PROBE_GOOD, Result.PROBE_BAD}]
exchanges = st.lists(
    st.tuples(st.sampled_from(RESULTS), st.integers(1, 60_000)), min_size=0, max_size=80
)


def counted(pairs) -> dict[int, int]:
    counts: dict[int, int] = {}
    for result, took_ms in pairs:
        add(counts, result)
        if result is not Result.FAILED:
            add(counts, latency_code(took_ms))
    return counts


@given(exchanges, st.integers(0, 80))
def test_what_two_replicas_counted_is_what_one_would_have(pairs, cut):
    whole = counted(pairs)

    assert whole == total([counted(pairs[:cut]), counted(pairs[cut:])])
    assert len(pairs) == samples(whole)


@given(st.lists(st.integers(1, 100_000), min_size=3, max_size=200), st.integers(1, PPM))
def test_a_quantile_is_at_most_nine_percent_too_high(latencies, share):
    counts = counted([(Result.SUCCESS, ms) for ms in latencies])
    rank = min(-(-len(latencies) * share // PPM), len(latencies) - 1)

    exact = sorted(latencies)[rank - 1]
    assert exact <= quantile_ms(counts, share) <= exact * 1.091 + 1


@given(exchanges, st.integers(1, 30_000) | st.none())
def test_a_weight_is_between_nothing_and_all(pairs, baseline_ms):
    assert 0 <= weigh(counted(pairs), baseline_ms, NO, now_ms=1).ppm <= PPM


@given(exchanges, st.integers(1, 30))
def test_a_fault_more_never_makes_a_weight_higher(pairs, count):
    pairs = [(Result.SUCCESS, 100)] * 10 + pairs
    more = pairs + [(Result.FAILED, 1)] * count

    before, after = (weigh(counted(p), 1_000, NO, now_ms=1).ppm for p in (pairs, more))
    assert after <= before


@given(st.lists(st.sampled_from([Result.SUCCESS, Result.SOFT_NO, Result.HARD_NO]), min_size=10))
def test_declines_are_nobodys_fault(results):
    counts = counted([(result, 100) for result in results])

    assert 0 == faults(counts)
    assert PPM == weigh(counts, 100, NO, now_ms=1).ppm
    assert step(Breaker(), counts, now_ms=1, chance_ppm=0) == Breaker()


@given(st.integers(1, 10))
def test_few_exchanges_leave_a_weight_as_it_was(count):
    counts = counted([(Result.FAILED, 1)] * (count - 1))

    assert Weight(900_000, 5) == weigh(counts, None, Weight(900_000, 5), now_ms=1_000)


def test_old_evidence_is_forgotten():
    assert PPM == weigh({}, None, Weight(0, 0), now_ms=120_001).ppm
    assert 0 == weigh({}, None, Weight(0, 0), now_ms=120_000).ppm


def test_a_tail_beyond_its_own_baseline_lowers_the_weight_and_one_that_is_usual_does_not():
    slow = counted([(Result.SUCCESS, 2_400)] * 30)

    assert weigh(slow, 300, NO, now_ms=1).ppm < LOW_PPM
    assert PPM == weigh(slow, 2_400, NO, now_ms=1).ppm


def test_one_slow_answer_of_few_is_no_tail():
    counts = counted([(Result.SUCCESS, 100)] * 19 + [(Result.SUCCESS, 50_000)])

    assert 120 > tail_ms(counts)


@settings(max_examples=30)
@given(st.integers(10, 10_000), st.integers(1, 100_000))
def test_a_brownout_of_five_minutes_does_not_become_its_own_measure(usual_ms, seen_ms):
    baseline_ms = usual_ms
    for _ in range(30):
        baseline_ms = drift(baseline_ms, counted([(Result.SUCCESS, seen_ms)] * 40)) or 0

    assert baseline_ms <= max(usual_ms * 1.2, usual_ms + 30)
    assert baseline_ms >= min(usual_ms, seen_ms) * 0.99


@given(st.integers(1, 60), st.integers(0, PPM - 1))
def test_a_back_off_is_bounded(trips, chance):
    assert 800 <= backoff_ms(trips, chance) <= OPEN_MAX_MS * 1.2


chances = st.tuples(
    st.integers(0, 3_000), st.dictionaries(st.sampled_from(list(Result)), st.integers(0, 30))
)


@settings(max_examples=25)
@given(st.lists(chances, max_size=20))
def test_a_breaker_moves_as_its_table_says_and_opens_for_reasons_alone(story):
    breaker, now_ms = Breaker(), 1
    for elapsed_ms, counts in story:
        now_ms += elapsed_ms
        before, breaker = breaker, step(breaker, counts, now_ms=now_ms, chance_ppm=0)
        if before is breaker:
            continue
        assert (before.state, breaker.state) in {
            (state, after) for (state, _), after in BREAKER.transitions.items()
        }
        assert before.version + 1 == breaker.version
        assert Breaker.decode(breaker.encode()) == breaker
        match before.state, breaker.state:
            case State.CLOSED, State.OPEN:
                assert samples(counts) >= 10
                assert 2 * faults(counts) >= samples(counts)
            case State.OPEN, _:
                assert now_ms >= before.retry_at_ms
            case State.HALF_OPEN, State.CLOSED:
                assert counts[Result.PROBE_GOOD] >= PROBES_MIN
                assert not counts.get(Result.PROBE_BAD)


@given(st.integers(0, 100_000))
def test_probes_are_few_while_half_open_and_none_else(elapsed_ms):
    half = Breaker(State.HALF_OPEN, 2, 1_000, 0, 1)

    assert PROBES_MIN <= half.permits(1_000 + elapsed_ms) <= PROBES_MIN + elapsed_ms // 2_000
    assert 0 == Breaker(State.OPEN, 1, 0, 9, 1).permits(elapsed_ms) == Breaker().permits(elapsed_ms)


def test_what_another_version_wrote_is_no_record():
    assert Breaker.decode("") is Breaker.decode("AJAR 1 2 3 4") is Breaker.decode("OPEN x") is None
