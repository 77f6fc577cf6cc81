"""The rows of a settlement file, and the mistakes that one may carry on purpose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from cashier_sandbox.domain.chance import stable_id
from cashier_sandbox.domain.movement import Movement

# One minor unit more or less is how processors round, and no mistake.
FEE_OFF_MIN_MINOR, FEE_OFF_MAX_MINOR = 2, 50
ALTER_MAX_MINOR = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One line, in no format yet; `net` is amount less fee, times RFC 3339 UTC.

    `source` is what the line is about, `entry` what happened, `charge` what it happened to.
    """

    id: str
    type: str
    source: str
    entry: str
    charge: str
    description: str
    currency: str
    amount: int
    fee: int
    at: str
    payout: str

    @property
    def net(self) -> int:
        """What the line adds to the balance."""
        return self.amount - self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """How many of each kind a file shall carry; only charge rows are touched."""

    omit: int = 0
    alter_amount: int = 0
    duplicate: int = 0
    unknown_charge: int = 0
    fee_off: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A mistake that was made; `row` counts data lines from 1, None for one that is missing."""

    kind: str
    source: str
    row: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A settlement as issued; `number` counts the account's, `references` names charges."""

    id: str
    account: str
    number: int
    at: str
    references: Mapping[str, str]
    rows: Sequence[Row]
    payouts: dict[str, str]
    anomalies: Sequence[Anomaly]


class TooFewRows(Exception):
    """There are fewer charge rows than mistakes that need one of their own."""


def batch_of(
    movements: Sequence[Movement],
    mistakes: Mistakes,
    *,
    account: str,
    number: int,
    references: Mapping[str, str],
    seed: int,
    at: str,
) -> Batch:
    """Return the rows in order of time, a payout row per currency last, balanced as issued."""
    name = f"set_{account}_{number:06d}"
    payouts = {
        currency: stable_id("po", seed, name, currency)
        for currency in sorted({movement.currency for movement in movements})
    }
    true_rows = [
        Row(
            id=movement.id,
            type=movement.type,
            source=movement.source,
            entry=movement.entry,
            charge=movement.charge,
            description=movement.reference,
            currency=movement.currency,
            amount=movement.amount,
            fee=movement.fee,
            at=movement.at,
            payout=payouts[movement.currency],
        )
        for movement in movements
    ]
    rows, made = _spoil(true_rows, mistakes, name=name, seed=seed)
    place = {id(row): number for number, row in enumerate(rows, start=1)}
    anomalies = [
        Anomaly(
            kind=kind,
            source=row.source,
            row=None if kind == "omit" else place[id(row)],
            detail=detail,
        )
        for kind, row, detail in made
    ]
    rows += _payout_rows(rows, payouts, name=name, at=at)
    return Batch(
        id=name,
        account=account,
        number=number,
        at=at,
        references=references,
        rows=rows,
        payouts=payouts,
        anomalies=anomalies,
    )


def _spoil(
    rows: list[Row], mistakes: Mistakes, *, name: str, seed: int
) -> tuple[list[Row], list[tuple[str, Row, str]]]:
    random = Random(f"{seed}/{name}")  # noqa: S311  it must repeat, not surprise
    charges = [row for row in rows if row.type == "charge"]
    wanted = mistakes.omit + mistakes.alter_amount + mistakes.duplicate + mistakes.fee_off
    if wanted > len(charges) or (mistakes.unknown_charge and not charges):
        raise TooFewRows(
            f"{wanted} charge rows are needed for the anomalies, but {len(charges)} are there"
        )
    chosen = iter(random.sample(charges, wanted))
    made: list[tuple[str, Row, str]] = []
    swapped: dict[int, list[Row]] = {}
    for _ in range(mistakes.omit):
        row = next(chosen)
        swapped[id(row)] = []
        made.append(("omit", row, f"a charge of {row.amount} {row.currency} is not in the file"))
    for _ in range(mistakes.alter_amount):
        row = next(chosen)
        wrong = replace(row, amount=row.amount + random.randint(1, ALTER_MAX_MINOR))
        swapped[id(row)] = [wrong]
        made.append(("alter_amount", wrong, f"{wrong.amount} instead of {row.amount}"))
    for _ in range(mistakes.duplicate):
        row = next(chosen)
        again = replace(row)
        swapped[id(row)] = [row, again]
        made.append(("duplicate", again, "the line before once more"))
    for _ in range(mistakes.fee_off):
        row = next(chosen)
        wrong = replace(row, fee=row.fee + random.randint(FEE_OFF_MIN_MINOR, FEE_OFF_MAX_MINOR))
        swapped[id(row)] = [wrong]
        made.append(("fee_off", wrong, f"fee {wrong.fee} instead of {row.fee}"))
    spoiled = [new for row in rows for new in swapped.get(id(row), [row])]
    for number in range(mistakes.unknown_charge):
        stranger = _stranger(random.choice(charges), number, name=name, seed=seed)
        spoiled.append(stranger)
        made.append(("unknown_charge", stranger, "a charge that nobody asked for"))
    return spoiled, made


def _stranger(like: Row, number: int, *, name: str, seed: int) -> Row:
    charge = stable_id("ch", seed, name, "unknown", number)
    return replace(
        like,
        id=stable_id("txn", seed, name, "unknown", number),
        source=charge,
        entry=charge,
        charge=charge,
        description=stable_id("unknown", seed, name, number),
    )


def _payout_rows(rows: Sequence[Row], payouts: dict[str, str], *, name: str, at: str) -> list[Row]:
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row.currency] += row.net
    return [
        Row(
            id="txn" + payout.removeprefix("po"),
            type="payout",
            source=payout,
            entry=payout,
            charge="",
            description=name,
            currency=currency,
            amount=-sums[currency],
            fee=0,
            at=at,
            payout=payout,
        )
        for currency, payout in payouts.items()
    ]
