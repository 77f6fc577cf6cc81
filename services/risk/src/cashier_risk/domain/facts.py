"""The feature snapshot: all that a decision is made from, and nothing that names a person."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

import orjson

from cashier_common.money import Money
from cashier_risk.domain.velocity import Subject, Subjects

FINGERPRINT_VERSION: Final = "risk.assess.v1"
"""Changes when the fingerprint takes in other fields, so that old and new never pass as equal."""
SNAPSHOT_VERSION: Final = 1


class Direction(StrEnum):
    """Which way the money goes."""

    PAYMENT = "payment"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller said, in one spelling: the same payment asked twice is equal.

    Countries are ISO 3166 in upper case, empty when unknown. Personal data is left outside:
    e-mail, addresses and names appear only as whether they were given.
    """

    merchant: str
    payment: str
    direction: Direction
    amount: Money
    method: str
    instrument: str
    bin: str
    brand: str
    funding: str
    issuer_country: str
    chain: str
    wallet: str
    customer: str
    customer_country: str
    customer_subdivision: str
    tags: tuple[str, ...]
    device: str
    jurisdiction: str
    merchant_reference: str
    has_email: bool
    has_ip_address: bool

    @property
    def subjects(self) -> Subjects:
        """Whom velocity counts."""
        known = {
            Subject.INSTRUMENT: self.instrument or self.wallet,
            Subject.CUSTOMER: self.customer,
            Subject.DEVICE: self.device,
        }
        return Subjects(self.merchant, {subject: key for subject, key in known.items() if key})

    def fingerprint(self) -> bytes:
        """SHA-256 over what was asked, and over nothing that changes by itself (velocity does)."""
        return hashlib.sha256(canonical([FINGERPRINT_VERSION, self.values()])).digest()

    def values(self) -> dict[str, Any]:
        """Field names to JSON values."""
        plain = {field: getattr(self, field) for field in _PLAIN}
        return plain | {
            "direction": self.direction.value,
            "amount_minor": self.amount.minor,
            "asset": self.amount.asset,
            "tags": list(self.tags),
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Asked":
        """The inverse of `values`; KeyError when the snapshot lacks a field."""
        return cls(
            **{field: values[field] for field in _PLAIN},
            direction=Direction(values["direction"]),
            amount=Money(values["amount_minor"], values["asset"]),
            tags=tuple(values["tags"]),
        )


_PLAIN: Final = tuple(
    field.name for field in fields(Asked) if field.name not in {"direction", "amount", "tags"}
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was asked and what was known at that moment; a decision is a function of this alone.

    `velocity` maps meter names to counts; a meter of an unknown subject is absent and counts 0.
    `degraded` says that something which should have been asked could not be.
    """

    asked: Asked
    velocity: Mapping[str, int]
    degraded: bool

    def snapshot(self) -> bytes:
        """Canonical JSON: equal facts give equal bytes."""
        return canonical(
            {
                "version": SNAPSHOT_VERSION,
                "asked": self.asked.values(),
                "velocity": dict(self.velocity),
                "degraded": self.degraded,
            }
        )

    @classmethod
    def of(cls, snapshot: bytes) -> "Facts":
        """The facts of a stored snapshot; ValueError or KeyError when it is not one of ours."""
        document = orjson.loads(snapshot)
        if document["version"] != SNAPSHOT_VERSION:
            raise ValueError(f"the snapshot has version {document['version']}")
        return cls(Asked.of(document["asked"]), document["velocity"], document["degraded"])


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces; integers, texts, booleans and their collections only."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def feature_hash(snapshot: bytes) -> bytes:
    """SHA-256 of a canonical snapshot."""
    return hashlib.sha256(snapshot).digest()
