"""The gateway's rules without a world: declines, fingerprints, accounts and the life of a call."""

import dataclasses
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cashier_common.errors import TransitionRefused
from cashier_common.ids import downstream_key
from cashier_common.money import Money
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.domain.call import Call, Command, Kind, Request
from cashier_gateway.domain.declines import (
    MEANINGS,
    NEVER_RETRYABLE_FAMILIES,
    RETRYABLE,
    Category,
    DeclineMap,
    Row,
    lint,
)
from cashier_gateway.domain.lifecycle import CALL, CERTAIN, Event, State
from cashier_gateway.domain.outcome import Action, Answer, Decline, Outcome, Settlement

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
PROCESSORS = ["sandbox", "stripe"]


def a_row(**changes) -> Row:
    row = Row(
        operation="*", code="try_later", advice="*", meaning="TRY_AGAIN_LATER",
        category=Category.SOFT,
    )  # fmt: skip
    return replace(row, **changes)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_no_map_makes_a_dangerous_code_retryable(processor):
    codes = load_codes(processor)

    assert [] == lint(codes.declines.rows) + lint(codes.errors.rows)


@pytest.mark.parametrize(
    "meaning", [m for m, f in MEANINGS.items() if f in NEVER_RETRYABLE_FAMILIES]
)
@pytest.mark.parametrize("category", sorted(RETRYABLE))
def test_the_lint_bites_on_a_dangerous_meaning(meaning, category):
    assert 1 == len(lint([a_row(meaning=meaning, category=category)]))


@pytest.mark.parametrize(
    "code",
    [
        "timeout", "timed_out", "lock_timeout", "suspected_fraud", "stolen_card", "pickup_card",
        "sanctions_hit", "compliance_restriction", "invalid_request_error", "parameter_missing",
        "duplicate_transaction", "revocation_of_authorization",
    ],
)  # fmt: skip
def test_the_lint_bites_on_a_dangerous_code_with_a_kind_meaning(code):
    assert 1 == len(lint([a_row(code=code)]))
    assert [] == lint([a_row(code=code, category=Category.HARD)])


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([a_row(meaning="NO_WORD_OF_OURS")], id="unknown meaning"),
        pytest.param([a_row(code="*", category=Category.HARD)], id="catches all"),
        pytest.param([a_row(), a_row(category=Category.HARD)], id="twice"),
    ],
)
def test_the_lint_bites_on_a_careless_row(rows):
    assert 1 == len(lint(rows))


@given(st.text(max_size=30), st.text(max_size=10))
def test_a_code_in_no_row_never_retries(code, advice):
    event, decline = DeclineMap([a_row()]).read(
        operation="authorize", code=f"x{code}", advice=advice
    )

    assert Event.DECLINE_HARD is event
    assert ("UNRECOGNISED", "HARD", f"x{code}") == (decline.meaning, decline.category, decline.code)


def test_the_most_exact_row_wins():
    rows = [
        a_row(category=Category.HARD),
        a_row(advice="again"),
        a_row(operation="authorize", category=Category.NEVER),
    ]
    told = DeclineMap(rows)

    answers = [
        told.read(operation=operation, code="try_later", advice=advice)[1].category
        for operation, advice in (("refund", ""), ("refund", "again"), ("authorize", "again"))
    ]

    assert ["HARD", "SOFT", "NEVER"] == answers


A_COMMAND = Command(
    merchant="acme",
    operation="payments/pay_a/operations/1",
    account="one",
    amount=Money(1250, "EUR"),
    request=Request(kind=Kind.AUTHORIZE, token="tok", capture=True, method="CARD"),
)


FOUND = {"authorization_reference", "target_reference"}
FLAGS = {"capture": False, "off_session": True, "final": True}
OTHER = {
    **{field.name: "other" for field in dataclasses.fields(Request) if field.name not in FOUND},
    **FLAGS,
    "kind": Kind.PAYOUT,
}


@pytest.mark.parametrize(
    "changed",
    [
        replace(A_COMMAND, merchant="acme2"),
        replace(A_COMMAND, operation="payments/pay_a/operations/2"),
        replace(A_COMMAND, account="two"),
        replace(A_COMMAND, amount=Money(1251, "EUR")),
        replace(A_COMMAND, amount=Money(1250, "USD")),
        *(
            replace(A_COMMAND, request=replace(A_COMMAND.request, **{name: value}))
            for name, value in OTHER.items()
        ),
    ],
    ids=["merchant", "operation", "account", "minor", "asset", *OTHER],
)
def test_every_field_that_means_something_is_in_the_fingerprint(changed):
    assert A_COMMAND.fingerprint != changed.fingerprint


def test_the_fingerprint_is_versioned_and_stays_what_it_was():
    """A replica of the next version must recognise what this one wrote."""
    assert "02" + FINGERPRINT == A_COMMAND.fingerprint.hex()
    assert A_COMMAND.fingerprint == replace(A_COMMAND, expire_at=AT).fingerprint


def test_what_we_found_out_ourselves_is_no_part_of_what_was_asked():
    found = replace(A_COMMAND.request, authorization_reference="ch_1", target_reference="cap_1")

    assert A_COMMAND.fingerprint == replace(A_COMMAND, request=found).fingerprint


def test_a_request_survives_its_row():
    request = replace(A_COMMAND.request, kind=Kind.CAPTURE, target="payments/pay_a/operations/1")

    assert request == Request.from_json(request.to_json())
    assert Kind.CAPTURE is Request.from_json(request.to_json()).kind


FINGERPRINT = "04d07f6708b141800b8a2e508c974fdd6e93541ccb1408c01b60afc58ddbf9a1"


@given(st.lists(st.sampled_from(Event), max_size=12))
def test_a_certain_answer_stays(events):
    state = State.ABSENT
    for event in events:
        before, state = state, CALL.next(state, event) if CALL.accepts(state, event) else state
        assert before not in CERTAIN or state is before


def test_nothing_but_the_first_owner_or_evidence_ends_in_success():
    sources = {
        state for (state, event), after in CALL.transitions.items() if after is State.SUCCEEDED
    }

    assert {
        State.SUBMITTING, State.IN_DOUBT, State.PENDING, State.ACTION_REQUIRED, State.CONFLICTED,
        State.NOT_FOUND,
    } == sources  # fmt: skip


def test_not_sent_can_only_follow_submitting():
    """Who lost track may not find out later that nothing was sent."""
    sources = [state for (state, _), after in CALL.transitions.items() if after is State.NOT_SENT]

    assert [State.SUBMITTING] == sources


@given(st.text(max_size=40), st.text(max_size=20))
def test_a_key_for_a_processor_can_never_read_as_a_card_number(operation, account):
    key = downstream_key(operation, account)

    assert key == downstream_key(operation, account)
    assert len(key) <= 64
    assert not any(character.isdigit() for character in key)


def test_different_operations_and_accounts_have_different_keys():
    keys = {downstream_key(f"o{n}", account) for n in range(1_000) for account in ("a", "b")}

    assert 2_000 == len(keys)


def test_a_fence_moves_the_fencing_token():
    call = Call.submitted(A_COMMAND, b"f", traceparent="", at=AT)

    fenced = call.fenced_off()

    assert (State.IN_DOUBT, True) == (fenced.state, fenced.fenced)
    assert (call.lease_epoch + 1, call.version + 1) == (fenced.lease_epoch, fenced.version)


def test_an_answer_the_table_does_not_know_is_refused():
    call = Call.submitted(A_COMMAND, b"f", traceparent="", at=AT)
    done = call.advanced(Event.SUCCEED, Outcome("done", AT), "ch_1")

    with pytest.raises(TransitionRefused):
        done.advanced(Event.DECLINE_HARD, Outcome("no", AT), "ch_1")


def test_an_outcome_survives_its_row():
    outcome = Outcome(
        detail="a sentence",
        observed_at=AT,
        amount=Money(5, "JPY"),
        decline=Decline("code", "advice", "DO_NOT_HONOR", "HARD"),
        action=Action(sdk="stripe", data={"client_secret": "quiet"}),
        settlement=Settlement("v1", Money(1, "JPY"), AT + timedelta(days=2)),
        risk_ppm=12,
    )

    assert outcome == Outcome.from_json(outcome.to_json())
    assert "quiet" not in str(outcome.to_json(secrets=False))
    assert Outcome("x", AT) == Outcome.from_json(Outcome("x", AT).to_json())


def test_an_answer_speaks_of_the_operation_unless_it_says_otherwise():
    assert not Answer(Event.SUCCEED, "x").of_request
