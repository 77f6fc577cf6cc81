"""The order of accounts by their health, for any picture of it."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_common.health.breaker import State
from cashier_common.health.reading import Reading, decode, encode
from cashier_router.domain.health import (
    CAUTION_MS,
    FRESH_MS,
    PROBE_SHARE_PPM,
    RISE_PPM_PER_S,
    UNPROBED_MS,
    Picture,
)
from cashier_router.domain.ordering import arrange, draw_ppm
from cashier_router.domain.routing import decide
from tests.support.router_values import an_account
from tests.unit.test_router_routing import a_question

PPM = 1_000_000
NAMES = ("a", "b", "c", "d")
SEGMENT = "CARD/USD/NA"


@dataclass(frozen=True)
class One:
    account: str
    rail: str = "gateway"


def reading(account: str, weight: int = PPM, state: State = State.CLOSED, shared: bool = True):
    return Reading(account, "", weight, state, shared)


readings = st.builds(
    reading, st.sampled_from(NAMES), st.sampled_from([0, 400_000, 600_000, 800_000, PPM]),
    st.sampled_from(list(State)), st.booleans(),
)  # fmt: skip
stories = st.lists(st.tuples(st.lists(readings, max_size=4), st.integers(0, 20_000)), max_size=8)


def told(story) -> Picture:
    picture = Picture()
    for news, elapsed_ms in story:
        if news:
            picture = picture.heard(news)
        picture = picture.later(elapsed_ms)
    return picture


def order(picture: Picture, payment: str = "payments/pay_1", names=NAMES):
    return arrange([One(name) for name in names], SEGMENT, {"gateway": picture}, payment)


@settings(max_examples=25)
@given(stories, st.text(max_size=5))
def test_no_account_gets_lost_and_something_is_always_left(story, payment):
    found = order(told(story), payment)

    assert sorted((*found.kept, *found.held)) == list(range(len(NAMES)))
    assert found.kept
    assert 1 <= found.propensity_ppm <= PPM
    assert found == order(told(story), payment)


@given(stories)
def test_only_an_open_breaker_that_everybody_knows_of_holds_an_account_back(story):
    picture = told(story)

    for i in order(picture).held:
        standing = picture.of(NAMES[i], SEGMENT)
        assert standing.reading.state is State.OPEN
        assert standing.reading.is_shared
        assert picture.age_ms <= FRESH_MS


@given(stories)
def test_shares_never_move_faster_than_they_may(story):
    picture = told(story)
    later = picture.later(1_000)

    for key, standing in picture.standings.items():
        assert later.standings[key].share_ppm <= standing.share_ppm + RISE_PPM_PER_S
        assert later.standings[key].share_ppm >= standing.share_ppm - PPM


def test_a_sunk_account_stands_behind_but_for_its_probes_and_returns_by_degrees():
    well = [reading(name) for name in NAMES]
    picture = Picture().heard(well).later(250)
    sunk = picture.heard([reading("a", 100_000), *well[1:]]).later(1_500)

    firsts = [order(sunk, f"payments/{n}").kept[0] for n in range(2_000)]
    assert 40 < firsts.count(0) < 130  # 4 %
    assert 3 == order(sunk, "x").kept.index(0) or draw_ppm("x", "a") < PROBE_SHARE_PPM
    between = sunk.heard([reading("a", 600_000), *well[1:]]).later(1_000)
    assert between.of("a", SEGMENT).is_sunk
    back = between.heard(well)
    shares = [back.later(ms).of("a", SEGMENT).share_ppm for ms in (0, 1_000, 2_000, 7_000)]
    assert [40_000, 190_000, 340_000, PPM] == shares


def test_when_all_sink_the_order_stays():
    picture = Picture().heard([reading(n, 100_000) for n in NAMES]).later(2_000)

    assert (0, 1, 2, 3) == order(picture).kept
    held = Picture().heard([reading(n, 0, State.OPEN) for n in NAMES])
    assert ((0, 1, 2, 3), ()) == (order(held).kept, order(held).held)


def test_old_news_hold_nobody_back_and_older_ones_say_nothing():
    dead = [reading("a", 0, State.OPEN), *(reading(n) for n in NAMES[1:])]
    picture = Picture().heard(dead).later(1_000)

    assert (0,) == order(picture).held
    cautious = picture.later(FRESH_MS)
    assert () == order(cautious).held
    assert 0 == order(cautious).kept[-1]
    forgotten = cautious.later(CAUTION_MS).later(10_000)
    assert (0, 1, 2, 3) == order(forgotten).kept
    assert "health is not known" == order(forgotten).places[0].detail


def test_a_breaker_that_nobody_probes_is_probed_by_every_payment():
    half = [reading("a", 0, State.HALF_OPEN), reading("b")]
    picture = Picture().heard(half).later(2_000)
    assert PROBE_SHARE_PPM == picture.of("a", SEGMENT).share_ppm

    for _ in range(UNPROBED_MS // 1_000 + 8):
        picture = picture.heard(half).later(1_000)

    assert PPM == picture.of("a", SEGMENT).share_ppm


@given(st.lists(readings, max_size=4, unique_by=lambda one: one.scope))
def test_readings_survive_their_publication(news):
    fields = {name: text.encode() for name, text in encode(news).items()}

    assert sorted(news, key=str) == sorted(decode({**fields, "x|y": b"[1]"}), key=str)


def test_a_decision_says_what_it_knew_and_how_likely_it_was():
    accounts = [an_account("sandbox-us", vault_tokens=True)]
    picture = Picture().heard([reading("sandbox-us", 900_000)]).later(1_000)

    decision = decide(a_question(payment="payments/1"), accounts, {"gateway": picture})

    [chosen] = decision.candidates
    assert "weight 900000 ppm, breaker CLOSED" in chosen.detail
    assert "heard 1000 ms ago" in chosen.detail
    assert PPM == decision.propensity_ppm
