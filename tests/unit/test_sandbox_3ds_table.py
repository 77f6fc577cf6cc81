"""The issuer's table: what each card answers, with the ECI and cryptogram of its scheme."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cashier_sandbox.domain.authentication import OPEN, TransStatus
from cashier_sandbox.domain.card_script import Case, Scheme, card_script_of
from cashier_sandbox.domain.issuer import answer_of, finding
from cashier_sandbox.domain.script import OK, behaviour_of

# The reference's table: transStatus → ECI at Visa and American Express, at Mastercard.
ECI = {
    "Y": ("05", "02"),
    "A": ("06", "01"),
    "I": ("07", "06"),
    "N": ("07", "00"),
    "R": ("07", "00"),
    "U": ("07", "00"),
    "C": ("", ""),
    "D": ("", ""),
}


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("status", TransStatus)
def test_each_status_has_its_schemes_eci_and_only_some_a_cryptogram(status, scheme):
    found = finding(status, scheme, "one")

    assert ECI[status][scheme is Scheme.MASTERCARD] == found.eci
    assert (status in {"Y", "A", "I"}) is bool(found.value)
    if found.value:
        assert 20 == len(base64.b64decode(found.value))
        assert found.value != finding(status, scheme, "two").value
    if found.value and scheme is Scheme.MASTERCARD:
        assert found.value.startswith("k")


@pytest.mark.parametrize(
    ("card", "asked", "status"),
    [
        ("frictionless", {}, "Y"),
        ("frictionless", {"threeDSRequestorChallengeInd": "04"}, "C"),
        ("attempt", {}, "A"),
        ("challenge", {"threeDSRequestorChallengeInd": "05"}, "C"),
        ("exempt", {}, "C"),
        ("exempt", {"threeDSRequestorChallengeInd": "05"}, "I"),
        ("exempt", {"threeDSRequestorChallengeInd": "08"}, "I"),
        ("exempt", {"threeDSRequestorChallengeInd": "04"}, "C"),
        ("method", {"threeDSCompInd": "Y"}, "Y"),
        ("method", {"threeDSCompInd": "N"}, "C"),
        ("method_dead", {"threeDSCompInd": "N"}, "C"),
        ("decoupled", {"threeDSRequestorDecReqInd": "Y"}, "D"),
        ("decoupled", {"threeDSRequestorDecReqInd": "N"}, "C"),
        ("not_enrolled", {}, "U"),
    ],
)
def test_a_card_answers_by_what_was_asked(card, asked, status):
    script = card_script_of(f"tok_3ds_{card}")

    assert status == answer_of(script, asked, "one", tried_before=False).status


@pytest.mark.parametrize(
    ("wish", "scheme", "eci"),
    [("05", "visa", "07"), ("05", "mastercard", "06"), ("06", "mastercard", "04"),
     ("06", "amex", "07")],
)  # fmt: skip
def test_an_exemption_and_data_alone_have_their_own_eci(wish, scheme, eci):
    script = card_script_of(f"tok_3ds_exempt_{scheme}")

    found = answer_of(script, {"threeDSRequestorChallengeInd": wish}, "one", tried_before=False)

    assert ("I", eci) == (found.status, found.eci)


@pytest.mark.parametrize("card", ["unavailable_once", "error_once"])
def test_a_second_try_finds_the_issuer_back(card):
    script = card_script_of(f"tok_3ds_{card}.label")

    first = answer_of(script, {}, "one", tried_before=False)
    second = answer_of(script, {}, "two", tried_before=True)

    assert first.status == "U" or first.error
    assert "Y" == second.status


def test_a_card_can_break_the_table():
    wrong, bare = (
        answer_of(card_script_of(f"tok_3ds_{card}"), {}, "one", tried_before=False)
        for card in ("wrong_eci", "no_value")
    )

    assert ("Y", "07", True) == (wrong.status, wrong.eci, bool(wrong.value))
    assert ("Y", "05", "") == (bare.status, bare.eci, bare.value)


@pytest.mark.parametrize(
    "name",
    ["", "nonsense", "cancel", "cancel_02", "denied_27", "denied_00", "frictionless_5", "late",
     "late_600001", "challenge_12", "cancel_05_600001", "denied_01_5", "frictionless_maestro"],
)  # fmt: skip
def test_what_is_not_in_the_table_is_no_card(name):
    assert card_script_of(f"tok_3ds_{name}") is None
    assert behaviour_of(f"tok_3ds_{name}", 1) is None


@given(
    st.sampled_from(
        ["challenge", "denied_83", "cancel_05_50", "cancel_04", "late_10", "areq_timeout",
         "areq_timeout_50", "decoupled_approve_99"]
    ),
    st.sampled_from(Scheme),
    st.sampled_from(["", ".alice"]),
)  # fmt: skip
def test_a_card_names_its_scheme_and_its_label(name, scheme, label):
    script = card_script_of(f"tok_3ds_{name}_{scheme}{label}")

    assert script is not None
    assert scheme is script.scheme
    assert name.startswith(script.case)


@pytest.mark.parametrize("case", [case for case in Case if card_script_of(f"tok_3ds_{case}")])
def test_a_processor_just_charges_a_card_of_the_table(case):
    assert OK == behaviour_of(f"tok_3ds_{case}.alice", 1250)


@given(st.sampled_from(Case), st.sampled_from(Scheme), st.booleans())
def test_every_case_answers_something_and_an_open_answer_proves_nothing(case, scheme, tried):
    script = (
        card_script_of(f"tok_3ds_{case}_{scheme}")
        or card_script_of(f"tok_3ds_{case}_05_{scheme}")
        or card_script_of(f"tok_3ds_{case}_50_{scheme}")
    )
    assert script is not None

    found = answer_of(script, {}, "one", tried_before=tried)

    assert bool(found.status) is not bool(found.error)
    if found.status in OPEN:
        assert "" == found.eci + found.value
