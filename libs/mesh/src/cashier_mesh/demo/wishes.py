"""Reads a table of payments, and says each row as the request that a checkout would send."""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from cashier.common.v1 import customer_pb2, instrument_pb2, money_pb2
from cashier.payments.v1 import payment_service_pb2
from cashier_common.assets import from_decimal
from cashier_common.money import Money
from cashier_mesh.demo.recipe import COLUMNS
from cashier_mesh.errors import MeshError

SHIPPED = "payments.csv"
CHAIN = "eip155:31337"
_METHODS = {
    "card": instrument_pb2.PAYMENT_METHOD_CARD,
    "stablecoin": instrument_pb2.PAYMENT_METHOD_STABLECOIN,
}


class Send(StrEnum):
    """How often a row is sent, always with one idempotency key."""

    ONCE = "once"
    TWICE = "twice"  # again after the answer
    AT_ONCE = "at_once"  # five callers at the same moment
    OTHER_AMOUNT = "other_amount"  # again with one minor unit more: has to be refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One row: what a customer wants. `tokens` by processor account."""

    merchant: str
    reference: str
    amount: Money
    country: str
    method: str
    brand: str
    customer: str
    tokens: Mapping[str, str]
    send: Send
    metadata: Mapping[str, str]
    note: str

    @property
    def is_deposit(self) -> bool:
        """Whether the customer pays on the chain."""
        return self.method == "stablecoin"

    def dearer(self) -> "Wish":
        """The same wish with one minor unit more."""
        return replace(self, amount=self.amount + Money(1, self.amount.asset))


@dataclass(frozen=True, slots=True)
class Round:
    """What makes one run of the demo different from every other: references, keys and customers."""

    name: str
    token_names: Mapping[str, str]
    """Tokens of the table that stand for one that a processor made for this run."""

    def key(self, wish: Wish) -> str:
        """The idempotency key of a row."""
        return f"demo-{self.name}-{wish.reference}"

    def request(self, wish: Wish) -> payment_service_pb2.CreatePaymentRequest:
        """The request of a row; the same row gives the same request again."""
        person = f"{wish.customer}-{self.name}"
        return payment_service_pb2.CreatePaymentRequest(
            merchant=wish.merchant,
            merchant_reference=f"{self.name}-{wish.reference}",
            amount=money_pb2.Money(minor=wish.amount.minor, asset_code=wish.amount.asset),
            instrument=self._instrument(wish, person),
            customer=customer_pb2.Customer(customer_id=person, country=wish.country),
            device=customer_pb2.Device(fingerprint=f"dev_{_hash(person, 'device')}"),
            metadata=wish.metadata,
        )

    def _instrument(self, wish: Wish, person: str) -> instrument_pb2.Instrument:
        if wish.is_deposit:
            return instrument_pb2.Instrument(method=_METHODS[wish.method], chain=CHAIN)
        return instrument_pb2.Instrument(
            method=_METHODS[wish.method],
            brand=wish.brand,
            fingerprint=f"fp_{_hash(person, wish.reference)}",
            funding=instrument_pb2.CARD_FUNDING_CREDIT,
            issuer_country=wish.country,
            tokens=[
                instrument_pb2.InstrumentToken(
                    scope=instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT,
                    processor_account=account,
                    token=self.token_names.get(token, token),
                )
                for account, token in wish.tokens.items()
            ],
        )


def read(path: Path | None) -> list[Wish]:
    """All rows of a table, by default of the one that ships; MeshError names what is wrong."""
    name = str(path or SHIPPED)
    try:
        if path:
            text = path.read_text(encoding="utf-8-sig")
        else:
            text = (files("cashier_mesh.demo") / SHIPPED).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MeshError(f"{name} cannot be read ({error}): name a CSV file in UTF-8") from None
    reader = csv.DictReader(text.splitlines())
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise MeshError(
            f"{name} has no column {', '.join(missing)}: its first line must name "
            f"{', '.join(COLUMNS)}"
        )
    wishes = [_wish(row, f"{name}, line {number}") for number, row in enumerate(reader, start=2)]
    references = [wish.reference for wish in wishes]
    twice = sorted({one for one in references if references.count(one) > 1})
    if twice:
        raise MeshError(f"{name} has the reference {twice[0]} twice: each row needs its own")
    return wishes


def some_of(wishes: Sequence[Wish], count: int) -> list[Wish]:
    """About `count` rows in their order, so that every sort of row is still there."""
    if count >= len(wishes):
        return list(wishes)
    share: dict[str, int] = {}
    for note, rows in _by_note(wishes).items():
        share[note] = max(1, len(rows) * count // len(wishes))
    kept = []
    for wish in wishes:
        if share[wish.note]:
            share[wish.note] -= 1
            kept.append(wish)
    return kept


def _by_note(wishes: Iterable[Wish]) -> dict[str, list[Wish]]:
    groups: dict[str, list[Wish]] = {}
    for wish in wishes:
        groups.setdefault(wish.note, []).append(wish)
    return groups


def _wish(row: Mapping[str, str | None], place: str) -> Wish:
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    for column in ("merchant", "reference", "country", "customer"):
        if not cells[column]:
            raise MeshError(f"{place}: {column} is empty: every row needs one")
    try:
        amount = from_decimal(cells["amount"], cells["asset"])
    except ValueError as error:
        raise MeshError(
            f"{place}: {error}: write the amount in major units, 19.99, and a known asset"
        ) from None
    if cells["method"] not in _METHODS:
        raise MeshError(
            f"{place}: method is {cells['method']!r}: choose from {', '.join(_METHODS)}"
        )
    send = cells["send"] or Send.ONCE
    if send not in list(Send):
        raise MeshError(f"{place}: send is {send!r}: choose from {', '.join(Send)}")
    return Wish(
        merchant=cells["merchant"],
        reference=cells["reference"],
        amount=amount,
        country=cells["country"],
        method=cells["method"],
        brand=cells["brand"],
        customer=cells["customer"],
        tokens=_pairs(cells["tokens"].split(), f"{place}: tokens", "sandbox-us=tok_ok"),
        send=Send(send),
        metadata=_pairs(filter(None, cells["metadata"].split(";")), f"{place}: metadata", "a=b;c="),
        note=cells["note"] or "a payment",
    )


def _pairs(words: Iterable[str], place: str, example: str) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise MeshError(f"{place} has {word!r} without a name and =: write it as {example}")
        pairs[name] = value
    return pairs


def _hash(*words: str) -> str:
    """Letters alone, as digits may look like a card number."""
    digest = hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:20]
    return digest.translate(str.maketrans("0123456789", "ghijklmnop"))
