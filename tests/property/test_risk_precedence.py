"""No score, no order of rules and no later stage lets a stopped payment through."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cashier_common.money import Money
from cashier_risk.domain.decision import SCORE_MAX, decide
from cashier_risk.domain.facts import Direction, Facts
from cashier_risk.domain.rules import (
    Advice,
    Bands,
    Decision,
    Rule,
    RuleSet,
    Stage,
    Tagged,
)
from cashier_risk.domain.velocity import METERS
from cashier_risk.rule_sets import load_rules
from tests.support.risk_facts import ORDINARY

SHIPPED = load_rules(None)
SANCTIONED = ("CU", "IR", "KP", "SY", "UA-09", "UA-14", "UA-40", "UA-43")
SEVERITY = {Stage.SANCTIONS: 4, Stage.EXCLUSION: 4, Stage.BLOCKLIST: 4, Stage.AML: 3}

counts = st.dictionaries(st.sampled_from(sorted(METERS)), st.integers(0, 10_000))
asked = st.builds(
    lambda **said: replace(ORDINARY, **said),
    direction=st.sampled_from(Direction),
    amount=st.builds(Money, st.integers(0, 2**62), st.sampled_from(["USD", "JPY", "ISK", "USDC"])),
    method=st.sampled_from(["card", "pix", "stablecoin"]),
    funding=st.sampled_from(["credit", "debit", "prepaid", "unknown"]),
    issuer_country=st.sampled_from(["", "BR", "US", "NG"]),
    customer_country=st.sampled_from(["", "BR", "US", "UA"]),
    jurisdiction=st.sampled_from(["", "BR", "US-NJ"]),
    tags=st.sampled_from([(), ("vip",), ("allow", "trusted")]),
    device=st.sampled_from(["", "device-1"]),
    customer=st.sampled_from(["", "player-1"]),
    instrument=st.sampled_from(["", "fp-1"]),
)
all_facts = st.builds(Facts, asked, counts, st.booleans())
rules = st.builds(
    Rule,
    id=st.uuids().map(str),
    code=st.just("ANY"),
    stage=st.sampled_from(Stage),
    condition=st.sampled_from([Tagged(frozenset({"yes"})), Tagged(frozenset({"no"}))]),
    score=st.integers(0, SCORE_MAX),
    at_least=st.sampled_from(Decision),
    advise=st.sampled_from([(), (Advice.STRICT_ACCOUNTS_ONLY,)]),
)
bands = st.lists(st.integers(1, SCORE_MAX), min_size=3, max_size=3).map(
    lambda edges: Bands(*sorted(edges))
)
YES = Facts(replace(ORDINARY, tags=("yes",)), {}, degraded=False)


def rule_set(some: list[Rule], edges: Bands) -> RuleSet:
    plain = [
        r if r.stage is Stage.SCORE else replace(r, score=0, at_least=Decision(1)) for r in some
    ]
    return RuleSet("any@0", 30, edges, tuple(plain), "")


@given(
    all_facts,
    st.sampled_from(SANCTIONED),
    st.sampled_from(["jurisdiction", "customer_country", "customer_subdivision", "issuer_country"]),
)
def test_nothing_lets_a_sanctioned_place_through(found, place, field):
    stopped = replace(found, asked=replace(found.asked, **{field: place}))

    verdict = decide(stopped, SHIPPED)

    assert Decision.DECLINE is verdict.decision
    assert SCORE_MAX == verdict.score
    assert "SANCTIONED_COUNTRY" == verdict.reasons[0].code


@given(all_facts)
def test_an_excluded_customer_is_declined_whatever_else_is_known(found):
    excluded = replace(found, asked=replace(found.asked, tags=(*found.asked.tags, "self_excluded")))

    assert Decision.DECLINE is decide(excluded, SHIPPED).decision


@given(st.lists(rules, max_size=12, unique_by=lambda r: r.id), bands, st.randoms())
def test_the_order_of_the_document_changes_neither_decision_nor_score(some, edges, chance):
    shuffled = list(some)
    chance.shuffle(shuffled)

    one, other = decide(YES, rule_set(some, edges)), decide(YES, rule_set(shuffled, edges))

    assert (one.decision, one.score) == (other.decision, other.score)
    assert set(one.reasons) == set(other.reasons)


@given(st.lists(rules, max_size=12, unique_by=lambda r: r.id), bands)
def test_the_first_stage_that_speaks_decides(some, edges):
    spoken = [rule for rule in some if "yes" in rule.condition.tags]

    verdict = decide(YES, rule_set(some, edges))

    first = min((rule.stage for rule in spoken), default=Stage.SCORE)
    if first in SEVERITY:
        assert SEVERITY[first] == verdict.decision
    stages = {rule.id: rule.stage for rule in some}
    told = [stages[reason.rule] for reason in verdict.reasons]
    assert sorted(told) == told
    assert len(spoken) == len(told)


@given(st.lists(rules, max_size=12, unique_by=lambda r: r.id), bands, rules)
def test_one_more_rule_never_turns_a_no_or_a_hold_into_a_yes(some, edges, more):
    """AML holds what a score alone would decline: for a person, which is no yes."""
    before, after = (decide(YES, rule_set(each, edges)) for each in (some, [*some, more]))

    assert min(before.decision, Decision.REVIEW) <= after.decision
    assert before.score <= after.score
    assert not before.strict_accounts_only or after.strict_accounts_only


@given(all_facts)
def test_degraded_never_turns_a_no_into_a_yes(found):
    known, blind = (decide(replace(found, degraded=way), SHIPPED) for way in (False, True))

    assert known.decision <= blind.decision
    assert known.score <= blind.score
    assert "DEGRADED" in {reason.code for reason in blind.reasons}


@given(all_facts, st.sampled_from(sorted(METERS)), st.integers(1, 10_000))
def test_a_higher_count_is_never_a_milder_decision(found, meter, more):
    counted = dict(found.velocity)
    higher = counted | {meter: counted.get(meter, 0) + more}

    assert (
        decide(found, SHIPPED).decision <= decide(replace(found, velocity=higher), SHIPPED).decision
    )


@given(all_facts)
def test_a_stored_snapshot_decides_the_same(found):
    again = Facts.of(found.snapshot())

    assert found.snapshot() == again.snapshot()
    assert decide(found, SHIPPED) == decide(again, SHIPPED)
