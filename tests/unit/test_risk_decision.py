"""The shipped rules decide by precedence, and the decision says why."""

from datetime import UTC, datetime

import pytest

from cashier_common.money import Money
from cashier_risk.domain.assessment import assess_facts, differences
from cashier_risk.domain.decision import decide
from cashier_risk.domain.facts import Facts
from cashier_risk.domain.rules import Decision, RuleSet
from cashier_risk.rule_sets import load_rules
from tests.support.risk_facts import facts


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(None)


def codes(found: Facts, rules: RuleSet) -> list[str]:
    return [reason.code for reason in decide(found, rules).reasons]


def test_an_ordinary_payment_goes_on_without_friction(rules):
    verdict = decide(facts(), rules)

    assert Decision.FRICTIONLESS is verdict.decision
    assert 0 == verdict.score
    assert () == verdict.reasons
    assert not verdict.strict_accounts_only


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"customer_country": "IR"}, "SANCTIONED_COUNTRY"),
        ({"issuer_country": "KP"}, "SANCTIONED_COUNTRY"),
        ({"jurisdiction": "CU"}, "SANCTIONED_COUNTRY"),
        ({"customer_subdivision": "UA-43"}, "SANCTIONED_COUNTRY"),
        ({"jurisdiction": "IR-23"}, "SANCTIONED_COUNTRY"),
        ({"jurisdiction": "YE"}, "BLOCKED_JURISDICTION"),
        ({"tags": ("self_excluded", "vip")}, "SELF_EXCLUDED"),
        ({"instrument": "fp_blocklisted_example"}, "INSTRUMENT_BLOCKED"),
        ({"device": "dev_blocklisted_example"}, "DEVICE_BLOCKED"),
    ],
)
def test_a_hard_stop_declines_alone_and_comes_first(rules, said, code):
    verdict = decide(facts(**said), rules)

    assert Decision.DECLINE is verdict.decision
    assert 1_000 == verdict.score
    assert code == verdict.reasons[0].code
    assert verdict.reasons[0].hard_stop
    assert 0 == verdict.reasons[0].score


def test_the_rest_of_a_country_with_sanctioned_regions_is_not_stopped(rules):
    verdict = decide(
        facts(customer_country="UA", customer_subdivision="UA-30", issuer_country="UA"), rules
    )

    assert Decision.FRICTIONLESS is verdict.decision


def test_hard_stops_are_told_in_the_order_sanctions_exclusion_blocklist(rules):
    everything = facts(
        customer_country="IR",
        tags=("blocked", "self_excluded"),
        instrument="fp_blocklisted_example",
    )

    found = codes(everything, rules)

    assert ["SANCTIONED_COUNTRY", "SELF_EXCLUDED"] == found[:2]
    assert {"CUSTOMER_BLOCKED", "INSTRUMENT_BLOCKED"} == set(found[2:4])


@pytest.mark.parametrize(
    ("amount", "decision", "score"),
    [
        (Money(499_99, "USD"), Decision.FRICTIONLESS, 0),
        (Money(500_00, "USD"), Decision.FRICTIONLESS, 50),
        (Money(2_000_00, "USD"), Decision.FRICTIONLESS, 150),
        (Money(4_999_99, "USD"), Decision.FRICTIONLESS, 150),
        (Money(5_000_00, "USD"), Decision.STEP_UP, 300),
        (Money(10_000_00, "USD"), Decision.REVIEW, 300),
        (Money(749_999, "JPY"), Decision.FRICTIONLESS, 150),
        (Money(750_000, "JPY"), Decision.STEP_UP, 300),
        (Money(1_535_000, "KWD"), Decision.STEP_UP, 300),
        (Money(5_000_000_000, "USDC"), Decision.STEP_UP, 300),
    ],
)
def test_amount_bands_are_exact_at_their_edges_in_each_currency(rules, amount, decision, score):
    verdict = decide(facts(amount=amount), rules)

    assert (decision, score) == (verdict.decision, verdict.score)


def test_an_asset_without_a_rate_is_reviewed_however_small(rules):
    verdict = decide(facts(amount=Money(1, "ISK")), rules)

    assert Decision.REVIEW is verdict.decision
    assert ["AMOUNT_UNRATED"] == [reason.code for reason in verdict.reasons]
    assert verdict.manual_capture_only


def test_aml_review_is_decided_before_the_score_bands(rules):
    """A person looks at it: neither waved through nor declined without a record of suspicion."""
    disputed = facts(amount=Money(20_000_00, "USD"), velocity={"instrument_disputes_180d": 3})

    verdict = decide(disputed, rules)

    assert Decision.REVIEW is verdict.decision
    assert ["AMOUNT_AML_THRESHOLD", "INSTRUMENT_DISPUTED"] == [
        reason.code for reason in verdict.reasons[:2]
    ]


def test_scores_add_up_and_reasons_stand_most_weighty_first(rules):
    verdict = decide(
        facts(funding="prepaid", issuer_country="NG", customer_country="BR", device=""), rules
    )

    assert [
        ("COUNTRY_MISMATCH", 200),
        ("PREPAID_CARD", 150),
        ("DEVICE_MISSING", 50),
    ] == [(reason.code, reason.score) for reason in verdict.reasons]
    assert (Decision.STEP_UP, 400) == (verdict.decision, verdict.score)


@pytest.mark.parametrize(("count", "decision"), [(10, 1), (11, 2)])
def test_velocity_speaks_above_its_limit_and_not_at_it(rules, count, decision):
    verdict = decide(facts(velocity={"instrument_attempts_1h": count}), rules)

    assert Decision(decision) is verdict.decision
    assert (decision == 2) is verdict.strict_accounts_only


def test_without_the_fast_counters_whoever_is_near_an_edge_falls_over_it(rules):
    near = {"issuer_country": "NG", "funding": "credit"}  # 200 of the 300 points of a step-up

    harmless = decide(facts(degraded=True), rules)
    known, blind = (decide(facts(degraded=way, **near), rules) for way in (False, True))

    assert Decision.FRICTIONLESS is harmless.decision
    assert ["DEGRADED"] == [reason.code for reason in harmless.reasons]
    assert (Decision.FRICTIONLESS, Decision.STEP_UP) == (known.decision, blind.decision)


def test_details_tell_no_identifier(rules):
    verdict = decide(
        facts(instrument="fp_blocklisted_example", device="dev_blocklisted_example"), rules
    )

    told = " ".join(reason.detail for reason in verdict.reasons)

    assert "blocklisted_example" not in told


def test_a_stored_snapshot_gives_the_same_facts_and_the_same_decision(rules):
    before = facts(
        amount=Money(700_00, "USD"), velocity={"instrument_attempts_1h": 12}, tags=("vip",)
    )

    after = Facts.of(before.snapshot())

    assert before == after
    assert decide(before, rules) == decide(after, rules)
    assert before.snapshot() == after.snapshot()


def test_the_fingerprint_holds_what_was_asked_and_not_what_changes_by_itself():
    first, later = facts(), facts(velocity={"instrument_attempts_1h": 9}, degraded=True)

    assert first.asked.fingerprint() == later.asked.fingerprint()
    assert first.snapshot() != later.snapshot()
    for said in ({"amount": Money(19_98, "USD")}, {"amount": Money(19_99, "EUR")}, {"device": "x"}):
        assert first.asked.fingerprint() != facts(**said).asked.fingerprint()


def test_a_replay_names_what_differs(rules):
    at = datetime(2026, 11, 22, tzinfo=UTC)
    stored = assess_facts(facts(), rules, at=at)
    again = assess_facts(facts(degraded=True), rules, at=at)

    found = list(differences(stored, again))

    assert [] == list(differences(stored, stored))
    assert "the stored features do not give the stored feature_hash: they were changed" in found
    assert "score was 0 and is 100" in found
    assert "the reasons were given by no rule and are given by degraded" in found
