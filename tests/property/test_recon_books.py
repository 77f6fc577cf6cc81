"""In whatever order: journals balance, each thing is used once, no cent is nameless."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_recon.domain.bridge import RESIDUAL
from cashier_recon.domain.consequences import consequences
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.journal import Account, operation_journal
from cashier_recon.domain.lifecycle import ExpectationState, LineState, RunState
from cashier_recon.domain.matching import SETTLING, match
from cashier_recon.domain.payment_fact import Leg, OperationKind, PaymentFact
from cashier_recon.domain.run_plan import Run, Waiting, plan_run, result_hash
from cashier_recon.domain.statement import Category, Line, numbered

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
X = ExpectationState
ACCOUNTS, ASSETS = st.sampled_from(["a", "b"]), st.sampled_from(["EUR", "JPY"])
REFERENCES = st.sampled_from(["", "r1", "r2", "r3"])
NUMBERS = st.integers(1, 5)
STATES = st.sampled_from([LineState.NEW, LineState.SUSPENDED])


def name(number):
    return f"payments/pay_{number}/operations/1"


@st.composite
def expectations(draw):
    made = []
    for number in draw(st.sets(NUMBERS, max_size=5)):
        amount, leg = draw(st.integers(1, 3)), draw(st.sampled_from(Leg))
        made.append(
            Expectation(
                operation=name(number),
                payment=f"payments/pay_{number}",
                merchant="shop",
                processor_account=draw(ACCOUNTS),
                processor_reference=draw(REFERENCES),
                leg=leg,
                state=draw(st.sampled_from([s for s in X if s is not X.NEW])),
                account=Account.RECEIVABLE,
                amount=amount if leg is Leg.CHARGE else -amount,
                asset=draw(ASSETS),
                expected_fee=draw(st.sampled_from([None, 0, 1, 5])),
                fee_schedule_version="",
                due_time=AT,
                book_time=AT,
            )
        )
    return made


@st.composite
def lines(draw):
    made = []
    for place in range(draw(st.integers(0, 8))):
        amount, fee = draw(st.integers(-3, 3)), draw(st.integers(0, 5))
        made.append(
            Line(
                line_id="",
                processor_account=draw(ACCOUNTS),
                external_id=draw(st.sampled_from(["x", "y", "z", f"line-{place}"])),
                occurrence=1,
                row=place,
                type="t",
                category=draw(st.sampled_from(Category)),
                source=draw(REFERENCES),
                description=draw(st.sampled_from(["", "free text", *map(name, range(1, 7))])),
                asset=draw(ASSETS),
                amount=amount,
                fee=fee,
                net=amount - fee,
                created=AT + timedelta(hours=draw(st.integers(0, 2))),
                available_on=AT,
                payout=draw(st.sampled_from(["", "p1"])),
            )
        )
    return numbered(made)


def told(verdicts):
    return [
        (v.line.line_id, v.outcome, v.operation and v.operation.operation, v.fee_outcome)
        for v in verdicts
    ]


@given(lines(), expectations(), st.randoms())
@settings(max_examples=300, deadline=None)
def test_matching_does_not_depend_on_any_order(given_lines, booked, rng):
    shuffled, mixed = list(given_lines), list(booked)
    rng.shuffle(shuffled)
    rng.shuffle(mixed)

    assert told(match(given_lines, booked)) == told(match(shuffled, mixed))


@given(lines(), expectations())
@settings(max_examples=300, deadline=None)
def test_every_line_has_one_verdict_and_every_operation_settles_once(given_lines, booked):
    verdicts = match(given_lines, booked)

    assert sorted(v.line.line_id for v in verdicts) == sorted(line.line_id for line in given_lines)
    settled = [v.operation for v in verdicts if v.operation]
    assert [] == [
        found for found, times in Counter(e.operation for e in settled).items() if times > 1
    ]
    for verdict in verdicts:
        if verdict.operation:
            assert verdict.operation.state is X.OPEN
            assert verdict.outcome in SETTLING
            assert verdict.line.processor_account == verdict.operation.processor_account
            assert verdict.operation.leg in verdict.line.category.legs
            # no confirmation without a reference
            assert verdict.operation.operation == verdict.line.description or (
                verdict.line.source == verdict.operation.processor_reference != ""
            )


def run_of(cutoff=AT):
    return Run(
        run_id="runs/run_a",
        state=RunState.RUNNING,
        cutoff_time=cutoff,
        processor_accounts=(),
        planned=True,
        create_time=AT,
        exception_counts={},
    )


@given(lines(), expectations(), st.data())
@settings(max_examples=300, deadline=None)
def test_the_bridge_names_every_cent_and_every_journal_balances(given_lines, booked, data):
    waiting = [
        Waiting(line, data.draw(STATES) if line.category.legs else LineState.NEW)
        for line in given_lines
    ]
    overdue = [e for e in booked if e.state is X.OPEN]

    planned = plan_run(waiting, booked, overdue=overdue, refused=[], payouts=[])

    expected, observed = defaultdict(int), defaultdict(int)
    for item in planned.items:
        if item.operation:
            cell = item.operation.processor_account, item.operation.asset
            expected[cell] += item.operation.amount - (item.operation.expected_fee or 0)
    for one in waiting:
        if one.state is LineState.NEW:
            observed[one.line.processor_account, one.line.asset] += one.line.net
    bridge = planned.bridge.closed(expected=expected, observed=observed)
    assert [] == [line for line in bridge if line.label == RESIDUAL and line.amount]

    clearing = defaultdict(int)
    for item in planned.items:
        done = consequences(item, run_of())
        if done.journal:
            assert_balanced(done.journal)
            for entry in done.journal.entries:
                if entry.account is Account.CLEARING:
                    clearing[entry.owner, entry.asset] += entry.amount
    assert {cell: net for cell, net in clearing.items() if net} == {
        cell: net for cell, net in observed.items() if net
    }


@given(lines(), expectations(), st.randoms())
@settings(max_examples=150, deadline=None)
def test_equal_inputs_give_equal_hashes(given_lines, booked, rng):
    def hashed(some_lines, some_booked):
        waiting = [Waiting(line, LineState.NEW) for line in some_lines]
        planned = plan_run(waiting, some_booked, overdue=[], refused=[], payouts=[])
        bridge = planned.bridge.closed(expected={}, observed={})
        return result_hash(planned.items, bridge, RunState.COMPLETE)

    shuffled, mixed = list(given_lines), list(booked)
    rng.shuffle(shuffled)
    rng.shuffle(mixed)

    assert hashed(given_lines, booked) == hashed(shuffled, mixed)
    if given_lines:
        other = replace(
            given_lines[0], amount=given_lines[0].amount + 7, net=given_lines[0].net + 7
        )
        assert hashed(given_lines, booked) != hashed([other, *given_lines[1:]], booked)


@given(
    st.sampled_from([k for k in OperationKind if k not in {"VOID", "UNKNOWN"}]),
    st.integers(1, 2**63 - 1),
    st.booleans(),
    st.sampled_from(["gateway", "crypto"]),
)
def test_every_operations_journal_balances(kind, amount, pays_out, rail):
    fact = PaymentFact(
        shard=0,
        position=1,
        at=AT,
        merchant="shop",
        payment="payments/pay_1",
        operation=name(1),
        kind=kind,
        state="SUCCEEDED",
        rail=rail,
        processor_account="a",
        processor_reference="",
        amount=amount,
        asset="ETH",
        captures=True,
        pays_out=pays_out,
        fee_schedule_version="",
        expected_fee=None,
        due_time=None,
        traceparent="",
    )

    assert_balanced(operation_journal(fact))


def assert_balanced(journal):
    sums = defaultdict(int)
    for entry in journal.entries:
        assert entry.amount
        sums[entry.asset] += entry.amount
    assert len(journal.entries) >= 2
    assert set(sums.values()) == {0}
