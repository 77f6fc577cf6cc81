"""One authentication as a value: all that a process needs to go on with it after a crash."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cashier_common.money import Money
from cashier_router.domain.authentication.liability import Liability, Network
from cashier_router.domain.authentication.lifecycle import (
    AUTHENTICATION,
    LIVE,
    AuthenticationState,
)
from cashier_router.domain.authentication.policy import Choice, Treatment
from cashier_router.domain.authentication.result import Cryptogram, Result

# Further messages about one attempt only raise the alarm: a server that repeats itself in ever new
# words must not fill the row.
EVIDENCE_MAX: Final = 32


class Flow(StrEnum):
    """Who talks to the issuer."""

    STANDALONE = "standalone"  # our 3-D Secure server; the proof works at any processor
    NATIVE = "native"  # the processor, within its own authorization


class Completion(StrEnum):
    """Whether the issuer's page looked at the browser (EMV `threeDSCompInd`)."""

    DONE = "Y"
    NOT_DONE = "N"
    NOT_OFFERED = "U"


class EvidenceKind(StrEnum):
    """Why a message was kept and not applied."""

    LATE_RESULT = "late_result"  # the attempt had ended without any result
    CONFLICTING_RESULT = "conflicting_result"  # it says something else than what was applied
    SUPERSEDED_RESULT = "superseded_result"  # of a try that was given up for a new one
    FOREIGN_RESULT = "foreign_result"  # of a 3-D Secure transaction that is not this attempt's
    UNEXPECTED_RESULT = "unexpected_result"  # nothing was asked yet, or it contradicts itself


# With one of these a person must look at the attempt before anybody relies on it.
CONTESTING: Final = frozenset({EvidenceKind.CONFLICTING_RESULT, EvidenceKind.UNEXPECTED_RESULT})


@dataclass(frozen=True, slots=True)
class Evidence:
    """A message that was kept and not applied."""

    kind: EvidenceKind
    result: Result
    at: datetime


@dataclass(frozen=True, slots=True)
class Bound:
    """What the customer authenticates: an authorization must be for exactly this."""

    merchant: str
    amount: Money
    card: str  # the instrument's fingerprint, the same over all processors


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One authentication of one payment. Deadlines are absolute, so a crash moves none of them.

    `tries` counts the 3-D Secure transactions; `tries_here` those in the state it is in.
    `result` is the message that ended it. `consumed_by` is the operation that carried its proof.
    """

    name: str  # `payments/…/authentications/{n}`
    number: int
    flow: Flow
    network: Network | None
    bound: Bound
    choice: Choice
    state: AuthenticationState
    version: int
    deadline: datetime | None
    create_time: datetime
    update_time: datetime
    excepted: bool = False  # the scheme excepts this card or merchant from liability shift
    tries: int = 1
    tries_here: int = 1
    protocol: str = ""  # "2.2.0"
    server_transaction: str = ""  # threeDSServerTransID of this try
    completion: Completion = Completion.NOT_OFFERED
    acs_transaction: str = ""
    ds_transaction: str = ""
    challenged: bool = False
    fetch_at: datetime | None = None
    fetched_at: datetime | None = None
    result: Result | None = None
    liability: Liability | None = None
    exemption_granted: bool | None = None
    consumed_by: str = ""
    evidence: tuple[Evidence, ...] = ()
    evidence_hash: str = ""
    detail: str = ""

    @property
    def transaction(self) -> str:
        """Our name of this try and the key of its requests: a crash asks under the same again."""
        return transaction_id(self.name, self.tries)

    @property
    def is_live(self) -> bool:
        """Whether it may still move."""
        return self.state in LIVE

    @property
    def contested(self) -> bool:
        """Whether the issuer's side contradicted itself, so that a case is open."""
        return any(kept.kind in CONTESTING for kept in self.evidence)

    @property
    def eci(self) -> str:
        """Electronic commerce indicator of the result."""
        return self.result.eci if self.result else ""

    @property
    def cryptogram(self) -> Cryptogram | None:
        """The proof, as long as nobody used it."""
        return self.result.cryptogram if self.result and not self.consumed_by else None

    @property
    def asked_issuer(self) -> bool:
        """Whether it is, or was, more than a choice to ask nobody."""
        return self.choice.treatment is Treatment.AUTHENTICATE

    @property
    def wake_at(self) -> datetime | None:
        """When a worker must look at it at the latest; None once it has ended."""
        times = [time for time in (self.deadline, self.fetch_at) if time is not None]
        return min(times, default=None) if self.is_live else None

    def hash_with(self, message: str, digest: str) -> str:
        """The hash over all that was heard, in the order it came, with one more message."""
        link = f"{self.evidence_hash}/{message}/{digest}"
        return hashlib.sha256(link.encode()).hexdigest()

    def record(self) -> dict[str, str]:
        """The facts of the audit record: the same fields whether or not anybody was challenged."""
        result, owed = self.result, self.liability
        return {
            "authentication": self.name,
            "flow": self.flow.value,
            "state": self.state.value,
            "treatment": self.choice.treatment.value,
            "reason": self.choice.reason.value,
            "rules": self.choice.rules,
            "in_scope": str(self.choice.in_scope).lower(),
            "band": self.choice.band.value,
            "challenge_wanted": self.choice.challenge.value,
            "challenged": str(self.challenged).lower(),
            "exemption": self.choice.exemption.value if self.choice.exemption else "",
            "exemption_granted": _said(self.exemption_granted),
            "protocol": self.protocol,
            "transaction": self.transaction,
            "server_transaction": self.server_transaction,
            "acs_transaction": self.acs_transaction,
            "ds_transaction": self.ds_transaction,
            "trans_status": result.status.value if result else "",
            "trans_status_reason": result.reason if result else "",
            "challenge_cancel": result.cancel.value if result and result.cancel else "",
            "eci": self.eci,
            "cryptogram": str(bool(result and result.cryptogram)).lower(),
            "source": result.source.value if result else "",
            "liability": owed.party.value if owed else "",
            "liability_grounds": owed.grounds.value if owed else "",
            "amount": str(self.bound.amount.minor),
            "asset": self.bound.amount.asset,
            "contested": str(self.contested).lower(),
            "evidence_hash": self.evidence_hash,
        }


def _said(answer: bool | None) -> str:  # noqa: FBT001 - three words for three values
    return "" if answer is None else str(answer).lower()


def created(
    name: str,
    number: int,
    *,
    flow: Flow,
    network: Network | None,
    bound: Bound,
    choice: Choice,
    at: datetime,
    excepted: bool = False,
) -> Attempt:
    """An attempt before anything happened."""
    return Attempt(
        name=name, number=number, flow=flow, network=network, bound=bound, choice=choice,
        state=AUTHENTICATION.initial, version=1, deadline=None, create_time=at, update_time=at,
        excepted=excepted,
    )  # fmt: skip


def authentication_name(payment: str, number: int) -> str:
    """`payments/…/authentications/2`: the second one of this payment."""
    return f"{payment}/authentications/{number}"


def transaction_id(name: str, tries: int) -> str:
    """A UUID that is the same for the same try of the same attempt."""
    digest = hashlib.sha256(f"{name}/tries/{tries}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))
