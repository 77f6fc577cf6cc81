"""Whether our books say what the processors say: by charge, by sum and by payment."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cashier_common.assets import to_decimal
from cashier_common.money import Money

Cell = tuple[str, str]
"""Processor account and asset."""
SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True, slots=True)
class Charge:
    """Money that a processor says it took, in its own words; `operation` is ours, or empty."""

    account: str
    charge_id: str
    operation: str
    amount: Money

    @property
    def payment(self) -> str:
        """`payments/pay_…`, or empty where the operation is not one of ours."""
        return payment_of(self.operation)


@dataclass(frozen=True, slots=True)
class Booking:
    """Money that the ledger says was taken by one operation."""

    account: str
    operation: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What both sides say, each asked through its own API.

    `reported` and `booked` are the sums that the processors and the ledger name themselves.
    `outcomes` has the state of every payment of this run.
    """

    charges: tuple[Charge, ...]
    reported: Mapping[Cell, int]
    bookings: tuple[Booking, ...]
    booked: Mapping[Cell, int]
    outcomes: Mapping[str, str]


def disagreements(evidence: Evidence) -> list[str]:
    """Every point on which the two sides differ, a sentence each; empty when the books agree."""
    return [
        *_sums(evidence),
        *_each_charge_once(evidence.charges),
        *_charges_and_bookings(evidence),
        *_outcomes(evidence),
    ]


def sums_of(items: Iterable[Charge] | Iterable[Booking]) -> dict[Cell, int]:
    """Minor units per processor account and asset."""
    sums: dict[Cell, int] = defaultdict(int)
    for item in items:
        sums[item.account, item.amount.asset] += item.amount.minor
    return dict(sums)


def payment_of(operation: str) -> str:
    """`payments/pay_…` of `payments/pay_…/operations/1`; empty for anything else."""
    payment, middle, _ = operation.partition("/operations/")
    return payment if middle else ""


def say(minor: int, asset: str) -> str:
    """An amount for people: 19.99 USD."""
    return f"{to_decimal(Money(minor, asset))} {asset}"


def _sums(evidence: Evidence) -> Iterable[str]:
    listed, entered = sums_of(evidence.charges), sums_of(evidence.bookings)
    for cell in sorted({*listed, *evidence.reported, *evidence.booked, *entered}):
        account, asset = cell
        there, here = evidence.reported.get(cell, 0), evidence.booked.get(cell, 0)
        if there != here:
            yield (
                f"{account} took {say(there, asset)} and our books say {say(here, asset)}: "
                f"{say(there - here, asset)} apart"
            )
        if listed.get(cell, 0) != there:
            yield (
                f"{account} reports {say(there, asset)} in total, but its charges sum to "
                f"{say(listed.get(cell, 0), asset)}"
            )
        if entered.get(cell, 0) != here:
            yield (
                f"our summary of {account} says {say(here, asset)}, but the ledger's entries sum "
                f"to {say(entered.get(cell, 0), asset)}"
            )


def _each_charge_once(charges: Iterable[Charge]) -> Iterable[str]:
    by_payment: dict[str, list[Charge]] = defaultdict(list)
    for charge in charges:
        if charge.payment:
            by_payment[charge.payment].append(charge)
    for payment, found in sorted(by_payment.items()):
        if len(found) > 1:
            where = ", ".join(f"{one.charge_id} at {one.account}" for one in found)
            yield f"{payment} was charged {len(found)} times: {where}"
    ids = Counter((charge.account, charge.charge_id) for charge in charges)
    for (account, charge_id), times in sorted(ids.items()):
        if times > 1:
            yield f"{account} lists {charge_id} {times} times"


def _charges_and_bookings(evidence: Evidence) -> Iterable[str]:
    bookings: dict[str, list[Booking]] = defaultdict(list)
    for booking in evidence.bookings:
        bookings[booking.operation].append(booking)
    known = set()
    for charge in evidence.charges:
        amount = say(charge.amount.minor, charge.amount.asset)
        what = f"{charge.account} holds {charge.charge_id} over {amount}"
        ours = bookings.get(charge.operation, [])
        if not ours:
            name = charge.operation or "no operation of ours"
            yield f"{what} under {name}, and nothing in our books belongs to it"
            continue
        known.add(charge.operation)
        for booking in ours:
            if (booking.account, booking.amount) != (charge.account, charge.amount):
                here = say(booking.amount.minor, booking.amount.asset)
                yield f"{what}, and our books have {here} at {booking.account} for it"
        if len(ours) > 1:
            yield f"our books have {charge.operation} {len(ours)} times"
    for operation in sorted(set(bookings) - known):
        booking = bookings[operation][0]
        amount = say(booking.amount.minor, booking.amount.asset)
        yield (
            f"our books have {amount} at {booking.account} for {operation}, and the processor "
            "knows no such charge"
        )


def _outcomes(evidence: Evidence) -> Iterable[str]:
    charged = {charge.payment: charge for charge in evidence.charges}
    for payment, state in sorted(evidence.outcomes.items()):
        if state == SUCCEEDED and payment not in charged:
            yield f"{payment} is {state}, and no processor has a charge for it"
        if state != SUCCEEDED and payment in charged:
            charge = charged[payment]
            yield f"{payment} is {state}, and {charge.account} charged it as {charge.charge_id}"
