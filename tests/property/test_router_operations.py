"""Any sequence of wishes, answers and late words about one payment, legal or not: rules hold."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cashier_common.errors import Refusal, TransitionRefused
from cashier_common.money import Money
from cashier_router.domain.afterwards import Later, News, hear
from cashier_router.domain.amounts import amounts_of
from cashier_router.domain.commands import (
    CancelPayment,
    CapturePayment,
    RefundPayment,
    ReplayOperation,
    ResolveInDoubt,
)
from cashier_router.domain.follow_up import plan
from cashier_router.domain.lifecycle import (
    CLOSED,
    OPENS_NEXT_RAIL,
    OPERATION,
    PRIMARY,
    UNRESOLVED,
    OperationEvent,
    OperationKind,
    OperationState,
    PaymentState,
    payment_state,
)
from cashier_router.domain.overrides import RESOLUTIONS, replay, resolve
from cashier_router.domain.payment import CANCELLATION, CaptureMethod, Direction
from cashier_router.domain.progress import Outcome, answer
from cashier_router.storage.rows import operation_row, payment_row, to_payment
from tests.support.router_values import AT, a_payment, disputed

E, K, S = OperationEvent, OperationKind, OperationState
WHOLE_MINOR = 10_000
# What a rail says: mostly what rails say, sometimes anything.
ANSWERS = st.one_of(
    st.sampled_from([E.SUCCEED, E.DECLINE_SOFT, E.LOSE_TRACK, E.ACCEPT, E.PROVE_ABSENT]),
    st.sampled_from(E),
)
PARTS = st.one_of(st.none(), st.integers(-1, WHOLE_MINOR + 1), st.integers(3_000, 7_000))
PLACES = st.integers(0, 7)
STEPS = {(before, after) for (before, _), after in OPERATION.transitions.items()}


class OnePayment(RuleBasedStateMachine):
    """Every rule is something that may happen to a payment; the invariants are money-safety §2."""

    @initialize(
        method=st.sampled_from(CaptureMethod), authorized=st.booleans(),
        direction=st.sampled_from([Direction.PAYMENT, Direction.PAYMENT, Direction.PAYOUT]),
    )  # fmt: skip
    def create(self, method, authorized, direction):
        self.payment = a_payment("a", "b", "c", capture_method=method, direction=direction)
        self.keys = 0
        self.kept_minor = 0
        self.late = False
        if authorized:
            self.the_rail_answers_well(0)

    @rule(place=PLACES)
    def the_rail_answers_well(self, place):
        """What was promised succeeds: most of what may go wrong needs that first."""
        waiting = self.payment.submitting
        if waiting:
            operation = waiting[place % len(waiting)]
            told = Outcome(E.SUCCEED, amount=operation.amount, processor_reference="ref")
            self.move(*answer(self.payment, operation.number, told, at=AT, may_go_on=True))

    @rule(place=PLACES, event=ANSWERS, may_go_on=st.booleans(), skew=st.sampled_from([0, 0, 0, 1]))
    def the_rail_answers(self, place, event, may_go_on, skew):
        operation = self.chosen(place)
        amount = Money(operation.amount.minor + skew, "USD") if event is E.SUCCEED else None
        told = Outcome(event, amount=amount, processor_reference=f"ref-{operation.number}")
        try:
            after, step = answer(self.payment, operation.number, told, at=AT, may_go_on=may_go_on)
        except TransitionRefused:
            return
        self.move(after, step)

    @rule(place=PLACES, event=ANSWERS)
    def the_rail_tells_late(self, place, event):
        operation = self.chosen(place)
        told = Outcome(event, processor_reference=f"late-{operation.number}")
        if operation.state in CLOSED and event is E.SUCCEED:
            self.late = True
        heard = hear(self.payment, Later(News.OUTCOME, operation.number, told), AT)
        self.move(heard.payment, heard.step)

    @rule(place=PLACES, part=st.integers(1, WHOLE_MINOR), number=st.integers(1, 3))
    def the_rail_takes_back(self, place, part, number):
        told = Outcome(E.LOSE_TRACK, amount=Money(part, "USD"))
        later = Later(
            News.TAKEN_BACK, self.chosen(place).number, told, reversal_reference=f"back-{number}"
        )
        heard = hear(self.payment, later, AT)
        self.move(heard.payment, heard.step)

    @rule(
        place=PLACES, part=st.integers(1, WHOLE_MINOR), number=st.integers(1, 2),
        state=st.sampled_from(["open", "won", "lost", "canceled"]), gone=st.booleans(),
    )  # fmt: skip
    def the_bank_disputes(self, place, part, number, state, gone):
        target = self.chosen(place)
        later = disputed(
            part, reference=f"dp-{number}", number=target.number, account=target.account,
            state=state, withdrawn=gone,
        )  # fmt: skip
        heard = hear(self.payment, later, AT)
        self.move(heard.payment, heard.step)

    @rule(part=PARTS, final=st.booleans())
    def capture(self, part, final):
        self.wish(CapturePayment(**self.about(), amount=money(part), final=final))

    @rule(part=PARTS)
    def refund(self, part):
        self.wish(RefundPayment(**self.about(), amount=money(part), reason=""))

    @rule()
    def cancel(self):
        self.wish(CancelPayment(**self.about(), reason=""))

    @rule(place=PLACES)
    def an_operator_replays(self, place):
        command = ReplayOperation(**self.decided(place))
        try:
            after, step, _ = replay(self.payment, command, AT)
        except Refusal:
            return
        self.move(after, step)

    @rule(place=PLACES, resolution=st.sampled_from(list(RESOLUTIONS)))
    def an_operator_resolves(self, place, resolution):
        command = ResolveInDoubt(**self.decided(place), resolution=resolution, proof="line 7")
        try:
            after, step = resolve(self.payment, command, AT)
        except Refusal:
            return
        self.move(after, step)

    def wish(self, command):
        try:
            after, step, _ = plan(self.payment, command, AT)
        except Refusal:
            return
        self.move(after, step)

    def move(self, after, step):
        """What must be true of every single step, then take it."""
        before = self.payment
        assert before.version + 1 == after.version
        assert len(before.operations) <= len(after.operations)
        for old, new in zip(before.operations, after.operations, strict=False):
            assert old.state is new.state or (old.state, new.state) in STEPS, step
            assert old.state is not S.SUCCEEDED or new.state is S.SUCCEEDED
            assert (old.kind, old.amount, old.target) == (new.kind, new.amount, new.target)
        added = after.operations[len(before.operations) :]
        assert [o.number for o in added] == [
            number + 1 for number in range(len(before.operations), len(after.operations))
        ]
        for operation in added:
            tries = [o.state for o in after.primary if o.number < operation.number]
            if operation.kind in PRIMARY:
                assert set(tries) <= OPENS_NEXT_RAIL, step
                assert not before.cancel_requested
        if after.cancel_requested and not before.cancel_requested:
            self.kept_minor = after.amounts.captured - after.amounts.refunded
        self.payment = after

    @invariant()
    def amounts_are_within_their_bounds(self):
        amounts = self.payment.amounts
        assert amounts.captured + amounts.capture_reserved + amounts.voided <= amounts.authorized
        assert amounts.refunded + amounts.refund_reserved + amounts.disputed <= amounts.captured
        assert min(getattr(amounts, name) for name in amounts.__slots__) >= 0
        assert self.late or amounts.authorized <= self.payment.amount.minor

    @invariant()
    def state_and_amounts_are_a_function_of_the_operations(self):
        payment = self.payment
        assert amounts_of(payment) == payment.amounts
        assert payment.state is payment_state(
            payment.operations, amounts=payment.amounts, first=payment.first_state,
            cancel_requested=payment.cancel_requested,
        )  # fmt: skip

    @invariant()
    def at_most_one_try_is_alive(self):
        alive = UNRESOLVED | {S.SUCCEEDED, S.ACTION_REQUIRED}
        assert sum(o.state in alive for o in self.payment.primary) <= 1

    @invariant()
    def what_was_canceled_is_released_or_in_front_of_somebody(self):
        payment = self.payment
        resting = all(o.state in CLOSED | {S.SUCCEEDED} for o in payment.operations)
        if not (payment.cancel_requested and resting) or payment.in_doubt:
            return
        if payment.direction is Direction.PAYOUT or self.merchants_own_void_failed():
            return
        if payment.disputes or any(o.kind is K.REVERSAL for o in payment.operations):
            return  # a bank or a rail took something by itself: that has its own record
        kept = payment.amounts.captured - payment.amounts.refunded - payment.amounts.disputed
        assert payment.amounts.capturable == 0
        assert kept <= max(self.kept_minor, 0)
        if self.kept_minor == 0:
            assert payment.state in (PaymentState.CANCELED, PaymentState.FAILED)

    @invariant()
    def a_stored_payment_is_read_back_as_it_was(self):
        payment = self.payment
        parts = [{**operation_row(payment, o), "asks": o.asks} for o in payment.operations]

        assert payment == to_payment(payment_row(payment), parts)

    def merchants_own_void_failed(self):
        return any(
            o.kind is K.VOID and o.reason != CANCELLATION and o.state in CLOSED
            for o in self.payment.operations
        )

    def chosen(self, place):
        return self.payment.operations[place % len(self.payment.operations)]

    def about(self):
        self.keys += 1
        return {
            "merchant": self.payment.merchant, "key": f"key-{self.keys:016d}",
            "payment": self.payment.name,
        }  # fmt: skip

    def decided(self, place):
        return {
            **self.about(), "number": self.chosen(place).number, "operator": "olga",
            "reason": "the settlement file", "etag": self.payment.etag,
        }  # fmt: skip


def money(part):
    return None if part is None else Money(part, "USD")


TestOnePayment = OnePayment.TestCase
TestOnePayment.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
