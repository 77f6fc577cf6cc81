"""The authentications of one payment: one live at a time, and each proof used once."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_common.money import Money
from cashier_router.domain.authentication.advance import advance
from cashier_router.domain.authentication.attempt import Attempt
from cashier_router.domain.authentication.events import RangeFound, Started, Ticked, Told
from cashier_router.domain.authentication.invariants import consumed_once, one_live, same_terms
from cashier_router.domain.authentication.policy import Reason, Treatment
from cashier_router.domain.authentication.result import Cancel
from cashier_router.domain.authentication.series import (
    ATTEMPTS_MAX,
    consume,
    may_begin,
    may_step_up,
)
from cashier_router.domain.authentication.stored import from_text, to_text
from tests.support.authentications import AT, BOUND, a_choice, a_result, an_attempt

SECONDS = st.sampled_from([0, 1, 10, 30, 900])
# One payment: attempts begin, move and are used by operations, over a row that two processes read.
MOVES = st.one_of(
    st.tuples(st.just("begin"), st.booleans()),
    st.tuples(st.just("end"), st.sampled_from("YYYANRU"), st.sampled_from([None, *Cancel])),
    st.tuples(st.just("decline"), st.sampled_from(["1A", "05"])),
    st.tuples(
        st.just("use"),
        st.lists(st.sampled_from(["op/1", "op/2", "op/3"]), min_size=1, max_size=3),
        st.booleans(),
    ),
    st.tuples(st.just("wait"), SECONDS),
)


class Row:
    """A payment's authentications as a database holds them: compare-and-set, nothing else."""

    def __init__(self):
        self.attempts, self.now, self.carried, self.sent = [], AT, {}, {}

    def store(self, before, after):
        """Whether nobody else wrote since `before` was read."""
        place = before.number - 1
        if self.attempts[place].version != before.version:
            return False
        self.attempts[place] = from_text(to_text(after))
        return True

    def begin(self, *, step_up, treatment):
        number = len(self.attempts) + 1
        reason = Reason.SOFT_DECLINE if step_up else Reason.SCA_REQUIRED
        fresh = an_attempt(number, choice=a_choice(reason=reason, treatment=treatment))
        begun = advance(replace(fresh, create_time=self.now), Started(), self.now).attempt
        self.attempts.append(begun)
        if begun.is_live:
            found = RangeFound(begun.transaction, "2.2.0", has_method=False)
            self.store(begun, advance(begun, found, self.now).attempt)

    def play(self, move):
        match move:
            case ("begin", exempt) if may_begin(self.attempts) is None:
                treatment = Treatment.EXEMPT if exempt else Treatment.AUTHENTICATE
                self.begin(step_up=False, treatment=treatment)
            case ("decline", code):
                if may_step_up(self.attempts, brand="visa", code=code) is None:
                    self.begin(step_up=True, treatment=Treatment.AUTHENTICATE)
            case ("end", status, cancel):
                for read in list(self.attempts):
                    result = a_result(status, name=read.name, tries=read.tries, cancel=cancel)
                    self.store(read, advance(read, Told(result), self.now).attempt)
            case ("use", operations, same):
                self.use(operations, same)
            case ("wait", seconds):
                self.now += timedelta(seconds=seconds)
                for read in list(self.attempts):
                    self.store(read, advance(read, Ticked(), self.now).attempt)

    def use(self, operations, same):
        """Processes that read the row at the same time; who stored first sends."""
        bound = BOUND if same else replace(BOUND, amount=Money(1, "USD"))
        for read in list(self.attempts):
            for operation in operations:
                used = consume(read, bound, operation, self.now)
                if isinstance(used, Attempt) and (used is read or self.store(read, used)):
                    self.carried.setdefault(read.name, []).append(operation)
                    self.sent[operation] = bound


@settings(max_examples=60, deadline=None)
@given(st.lists(MOVES, max_size=14))
def test_a_payment_has_one_live_attempt_and_uses_each_proof_once_for_what_it_is_for(moves):
    row = Row()
    for move in moves:
        row.play(move)

        assert [] == one_live(row.attempts)
        for attempt in row.attempts:
            assert [] == consumed_once(attempt, row.carried.get(attempt.name, []))
            assert [] == same_terms(attempt, row.sent)
    asked_issuer = [attempt for attempt in row.attempts if attempt.asked_issuer]
    assert len(asked_issuer) <= ATTEMPTS_MAX
    stepped_up = [a for a in row.attempts if a.choice.reason is Reason.SOFT_DECLINE]
    assert len(stepped_up) <= 1
