"""A rule document is read strictly, and each fault names its line and its field."""

import pytest

from cashier_common.settings import SettingsRefused
from cashier_risk.domain.document import DocumentInvalid
from cashier_risk.domain.rule_document import parse
from cashier_risk.domain.rules import AmountBetween, InPlace, RuleSet, Stage
from cashier_risk.rule_sets import load_rules

DOCUMENT = """\
language: 1
name: sample
valid_minutes: 15
bands: {step_up: 300, review: 600, decline: 900}
reference: {USD: 100, JPY: 150}
rules:
  - id: places
    stage: sanctions
    kind: in_place
    code: SANCTIONED_COUNTRY
    fields: [customer_country]
    places: [NO, UA-43]
  - id: amounts
    stage: score
    kind: amount_bands
    code: AMOUNT_HIGH
    bands:
      - {units: 10, score: 50}
      - {units: 1_000, score: 300}
  - id: unrated
    stage: aml
    kind: amount_unrated
    code: AMOUNT_UNRATED
"""


def sample(old: str = "", new: str = "") -> RuleSet:
    assert old in DOCUMENT
    return parse(DOCUMENT.replace(old, new, 1) if old else DOCUMENT, "sample.yaml")


def test_the_shipped_document_is_sound():
    rules = load_rules(None)

    assert rules.version.startswith("first@")
    assert set(Stage) == {rule.stage for rule in rules.rules}


def test_norway_is_a_country_and_not_false():
    condition = sample().rules[0].condition

    assert InPlace(("customer_country",), frozenset({"NO", "UA-43"})) == condition


def test_bands_become_one_rule_each_and_do_not_overlap():
    rules = sample().rules

    assert ["places", "amounts", "amounts/1000", "unrated"] == [rule.id for rule in rules]
    assert [(10, 1_000), (1_000, None)] == [
        (rule.condition.low, rule.condition.high)
        for rule in rules
        if isinstance(rule.condition, AmountBetween)
    ]


def test_another_text_is_another_version():
    assert sample().version == sample().version
    assert sample().version != sample("score: 50", "score: 51").version
    assert sample().version != sample("language: 1", "language: 1 # why").version


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("language: 1", "language: 2", "line 1: language is 2: it must be an integer from 1 to 1"),
        ("valid_minutes: 15\n", "", "line 1: the document lacks the field valid_minutes"),
        ("name: sample", "nam: sample", "line 1: the document lacks the field name"),
        ("name: sample", "name: sample\nname: x", "line 3: name is written twice"),
        ("step_up: 300", "step_up: 700", "line 4: bands must rise: step_up, then review"),
        ("step_up: 300", "step_up: 0", "bands.step_up is 0: it must be an integer from 1 to 1000"),
        ("step_up: 300", "step_up: 3.5", "bands.step_up is 3.5: it must be an integer"),
        ("USD: 100", "USX: 100", "line 5: reference.USX is not an asset of the registry: USX"),
        ("stage: sanctions", "stage: later", "line 8: rules[0].stage is later: it must be one of"),
        ("kind: in_place", "kind: magic", "line 9: rules[0].kind is magic: it must be one of"),
        ("    code: SANCTIONED", "    code: sanctioned", "line 10: rules[0].code is sanctioned"),
        ("[customer_country]", "[email]", "line 11: rules[0].fields[0] is email: it must be one"),
        ("[NO, UA-43]", "[NO, IRN]", "line 12: rules[0].places[1] is IRN: it must be a code of"),
        ("[NO, UA-43]", "[no]", "line 12: rules[0].places[0] is no: write it as NO"),
        ("[NO, UA-43]", "[]", "line 12: rules[0].places must be a list of at least one item"),
        ("    places: [NO", "    score: 9\n    places: [NO", "line 12: rules[0].score has no mean"),
        ("id: amounts", "id: places", "line 13: rules[1] has the id places, which another rule"),
        ("units: 1_000", "units: 10", "rules[1].bands[1].units must be above the band before"),
        ("kind: amount_unrated", "kind: degraded", "an asset without a rate would pass every"),
        ("bands: {step_up", "bands: {step_up: {", "line 4: it is not YAML:"),
    ],
)
def test_a_fault_names_its_line_and_its_field(old, new, fault):
    with pytest.raises(DocumentInvalid) as refused:
        sample(old, new)

    assert fault in str(refused.value)
    assert str(refused.value).startswith("sample.yaml cannot be used: ")


def test_every_faulty_rule_is_told_at_once():
    with pytest.raises(DocumentInvalid) as refused:
        parse(DOCUMENT.replace("in_place", "magic").replace("units: 10,", "units: x,"), "d")

    assert "rules[0].kind" in refused.value.faults
    assert "rules[1].bands[0].units" in refused.value.faults


@pytest.mark.parametrize("text", ["", "- a", "just text", "a: &x [*x]", "x" * (1024 * 1024 + 1)])
def test_what_is_no_rule_document_is_refused_in_a_sentence(text):
    with pytest.raises(DocumentInvalid):
        parse(text, "d")


def test_a_score_rule_without_effect_is_refused():
    text = DOCUMENT.replace("kind: amount_unrated", "kind: degraded").replace(
        "stage: aml", "stage: score"
    )

    with pytest.raises(DocumentInvalid, match="has no effect"):
        parse(text, "d")


def test_a_meter_that_nobody_counts_is_refused():
    text = DOCUMENT + "    meter: x\n"

    with pytest.raises(DocumentInvalid, match="meter is not a field of this mapping"):
        parse(text, "d")


def test_settings_that_name_no_file_are_told_the_way_out(tmp_path):
    with pytest.raises(SettingsRefused, match="CASHIER_RULE_SET"):
        load_rules(tmp_path / "absent.yaml")


def test_settings_that_name_a_faulty_file_are_told_line_and_field(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(DOCUMENT.replace("stage: sanctions", "stage: later"))

    with pytest.raises(SettingsRefused, match=r"line 8: rules\[0\]\.stage is later"):
        load_rules(path)
