"""When an operation that has no answer is asked about next: by its state and its method."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cashier_router.domain.instrument import Method
from cashier_router.domain.lifecycle import OperationEvent, OperationState

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400

S, E = OperationState, OperationEvent


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds before each question; after the last one the `last_s` recur `repeats` times."""

    pauses_s: tuple[int, ...]
    last_s: int = 0
    repeats: int = 0

    def pause_s(self, asked: int) -> int | None:
        """Seconds until the next question after so many; None when there is none any more."""
        if asked < len(self.pauses_s):
            return self.pauses_s[asked]
        return self.last_s if asked < len(self.pauses_s) + self.repeats else None


# Until a method's last day: when its money is surely there or surely not. Cards: an answer that is
# pending after seven days is lost. ACH: a return may come up to 60 days later for consumers
# (NACHA R05, R07, R10), and the debit itself settles within days. Vouchers are paid within days of
# their expiry. Chains and instant rails answer within minutes.
PENDING: Mapping[Method, Schedule] = {
    Method.CARD: Schedule((10, 60, 5 * MINUTE_S, HOUR_S, 6 * HOUR_S), DAY_S, 7),
    Method.ACH: Schedule((HOUR_S, 6 * HOUR_S), DAY_S, 10),
    Method.SEPA: Schedule((HOUR_S, 6 * HOUR_S), DAY_S, 14),
    Method.RTP: Schedule((10, 60, 5 * MINUTE_S, HOUR_S, 6 * HOUR_S), DAY_S, 2),
    Method.PIX: Schedule((30, 2 * MINUTE_S, 10 * MINUTE_S, HOUR_S), 6 * HOUR_S, 8),
    Method.VOUCHER: Schedule((HOUR_S, 6 * HOUR_S), DAY_S, 14),
    Method.STABLECOIN: Schedule((30, 2 * MINUTE_S, 10 * MINUTE_S), HOUR_S, 48),
}
# A customer who acted and whose result nobody told: the rail is asked now and then, until what he
# was shown can no longer be paid. A PIX code lives for minutes or hours, a voucher for days, and
# rails tell the end of one a while after it.
_PRESENT: Schedule = Schedule((MINUTE_S, 5 * MINUTE_S, 15 * MINUTE_S), HOUR_S, 48)
ACTION: Mapping[Method, Schedule] = {
    **dict.fromkeys(Method, _PRESENT),
    Method.PIX: Schedule((MINUTE_S, 5 * MINUTE_S, 15 * MINUTE_S, 30 * MINUTE_S), HOUR_S, 72),
    Method.VOUCHER: Schedule((HOUR_S, 6 * HOUR_S), 12 * HOUR_S, 62),
}


@dataclass(frozen=True, slots=True)
class QuestionPlan:
    """The schedules in force; that of doubts is a setting."""

    doubt: Schedule
    pending: Mapping[Method, Schedule] = field(default_factory=lambda: PENDING)
    action: Mapping[Method, Schedule] = field(default_factory=lambda: ACTION)

    def pause_s(self, state: OperationState, method: Method, asked: int) -> int | None:
        """Seconds until the next question; None where nothing is asked (any more)."""
        match state:
            case S.IN_DOUBT:
                return self.doubt.pause_s(asked)
            case S.PENDING:
                return self.pending[method].pause_s(asked)
            case S.ACTION_REQUIRED:
                return self.action[method].pause_s(asked)
        return None

    def pause_after_pending_s(self, method: Method, asked: int) -> int | None:
        """Seconds until the next question about a doubt of which the rail says that it is pending.

        It is there and its answer takes as long as its method's: a doubt of a bank debit would
        else need a person after a day.
        """
        return self.pending[method].pause_s(asked)


# What a rail's word about an operation proves, beside what it says literally. A rail that never
# sent it, or has closed it, can no longer do it; what was pending and is gone is looked at again.
_PROVES = {
    (S.IN_DOUBT, E.FAIL_UNSENT): E.PROVE_ABSENT,
    (S.IN_DOUBT, E.EXPIRE): E.PROVE_ABSENT,
    (S.MANUAL_REVIEW, E.FAIL_UNSENT): E.PROVE_ABSENT,
    (S.MANUAL_REVIEW, E.EXPIRE): E.PROVE_ABSENT,
    (S.PENDING, E.FAIL_UNSENT): E.LOSE_TRACK,
    (S.PENDING, E.EXPIRE): E.LOSE_TRACK,
    (S.PENDING, E.PROVE_ABSENT): E.LOSE_TRACK,
    (S.ACTION_REQUIRED, E.FAIL_UNSENT): E.EXPIRE,
    (S.ACTION_REQUIRED, E.PROVE_ABSENT): E.EXPIRE,
}


def evidence(state: OperationState, told: OperationEvent) -> OperationEvent:
    """The event that a rail's later word is for an operation in this state."""
    return _PROVES.get((state, told), told)
