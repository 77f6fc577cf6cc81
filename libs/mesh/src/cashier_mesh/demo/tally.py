"""What became of the payments, counted: a pure function of the payments as they stand."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cashier.payments.v1 import payment_pb2

P, O = payment_pb2.Payment, payment_pb2.Operation  # noqa: E741 - as the contract names them
# Answers after which another account may be tried (money-safety: nothing happened, or a soft no).
OPENS_ANOTHER = (O.STATE_NOT_SENT, O.STATE_DECLINED_SOFT, O.STATE_NOT_FOUND)
DECLINED = (O.STATE_DECLINED_HARD, O.STATE_DECLINED_SOFT)
UNKNOWN = (O.STATE_IN_DOUBT, O.STATE_MANUAL_REVIEW, O.STATE_CONFLICTED)
RESTING = (
    *(P.STATE_SUCCEEDED, P.STATE_AUTHORIZED, P.STATE_FAILED),
    *(P.STATE_REJECTED, P.STATE_IN_REVIEW, P.STATE_CANCELED),
)


@dataclass(slots=True)
class AccountTally:
    """What one processor account answered."""

    sent: int = 0
    succeeded: int = 0
    declined: int = 0
    unsent: int = 0
    in_doubt: int = 0


@dataclass(slots=True)
class Tally:
    """Counts over payments; `saved` succeeded after another account had failed them."""

    payments: int = 0
    states: Counter[str] = field(default_factory=Counter)
    accounts: dict[str, AccountTally] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    saved: int = 0
    in_doubt: int = 0


def count(payments: Iterable[payment_pb2.Payment]) -> Tally:
    """Count payments as they stand."""
    tally = Tally()
    for payment in payments:
        tally.payments += 1
        tally.states[state_name(payment)] += 1
        tally.in_doubt += payment.in_doubt
        tally.saved += was_saved(payment)
        if payment.state == P.STATE_FAILED:
            tally.failures[payment.failure.meaning] += 1
        if payment.state == P.STATE_REJECTED:
            tally.failures[payment.failure.processor_code or payment.failure.meaning] += 1
        for operation in payment.operations:
            _count(
                tally.accounts.setdefault(operation.processor_account, AccountTally()), operation
            )
    return tally


def was_saved(payment: payment_pb2.Payment) -> bool:
    """Whether it succeeded after an account did not take it."""
    return payment.state == P.STATE_SUCCEEDED and any(
        operation.state in OPENS_ANOTHER for operation in payment.operations
    )


def rests(payment: payment_pb2.Payment) -> bool:
    """Whether nothing is under way for it."""
    return payment.state in RESTING


def state_name(payment: payment_pb2.Payment) -> str:
    """The payment's state without its prefix."""
    return P.State.Name(payment.state).removeprefix("STATE_")


def _count(account: AccountTally, operation: payment_pb2.Operation) -> None:
    account.sent += 1
    if operation.state == O.STATE_SUCCEEDED:
        account.succeeded += 1
    elif operation.state in DECLINED:
        account.declined += 1
    elif operation.state in (O.STATE_NOT_SENT, O.STATE_NOT_FOUND):
        account.unsent += 1
    elif operation.state in UNKNOWN:
        account.in_doubt += 1
