"""Refusals: what a service says when it will not do something, with the facts as data.

A refusal knows nothing of gRPC; only `cashier_common.rpc.status` turns one into a status.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What sort of no it is; each maps to one gRPC status code."""

    INVALID = "invalid"
    REFUSED = "refused"
    NOT_FOUND = "not_found"
    EXISTS = "exists"
    DENIED = "denied"
    LOST_RACE = "lost_race"
    UNAVAILABLE = "unavailable"
    EXHAUSTED = "exhausted"
    OUT_OF_RANGE = "out_of_range"
    NOT_SERVED = "not_served"
    DEADLINE = "deadline"
    INTERNAL = "internal"


class Refusal(Exception):
    """The parent of every refusal: subclasses are dataclasses whose fields are the facts.

    `reason` is a name of `cashier.common.v1.Reason` without its prefix; `text` is a sentence with
    a `{placeholder}` for each fact that it mentions.
    """

    kind: ClassVar[Kind]
    reason: ClassVar[str]
    text: ClassVar[str]
    retry_after_s: ClassVar[float | None] = None

    def facts(self) -> dict[str, str]:
        """Every dynamic word of the message, for `ErrorInfo.metadata`."""
        return {f.name: str(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.text.format(**self.facts())


class Outage(Exception):
    """Something that we depend on was away in the middle: expected now and then, not a fault."""


@dataclass
class FieldRequired(Refusal):
    """A required field is not set."""

    kind = Kind.INVALID
    reason = "FIELD_REQUIRED"
    text = "{field} is required: set it and send the request again"
    field: str


@dataclass
class FieldInvalid(Refusal):
    """A field has a value that its documentation does not allow."""

    kind = Kind.INVALID
    reason = "FIELD_INVALID"
    text = "{field} is {value}: it must be {expected}"
    field: str
    value: str
    expected: str


@dataclass
class RequestUndecodable(Refusal):
    """The bytes are not a message of the method's request type."""

    kind = Kind.INVALID
    reason = "REQUEST_UNDECODABLE"
    text = "the request is not a valid {message}: send it as that message in protobuf's wire format"
    message: str


@dataclass
class CardNumberRefused(Refusal):
    """A value looks like a card number; the value itself is told to nobody."""

    kind = Kind.INVALID
    reason = "CARD_NUMBER_REFUSED"
    text = "{field} holds what looks like a card number: send a token instead"
    field: str


@dataclass
class IdempotencyKeyMissing(Refusal):
    """The call has no usable idempotency key."""

    kind = Kind.INVALID
    reason = "IDEMPOTENCY_KEY_MISSING"
    text = (
        "call metadata idempotency-key is {problem}: "
        "{method} needs 16 to 128 visible ASCII characters"
    )
    method: str
    problem: str


@dataclass
class IdempotencyKeyReused(Refusal):
    """Same key, other request."""

    kind = Kind.REFUSED
    reason = "IDEMPOTENCY_KEY_REUSED"
    text = (
        "this idempotency key was used before by merchant {merchant} with another request: "
        "use a new key for a new payment"
    )
    merchant: str


@dataclass
class IdempotencyInFlight(Refusal):
    """The first call with this key has not committed yet."""

    kind = Kind.LOST_RACE
    reason = "IDEMPOTENCY_IN_FLIGHT"
    text = "the first call with this idempotency key is still running: repeat the call"
    retry_after_s = 1.0


@dataclass
class ResourceNotFound(Refusal):
    """No resource has this name."""

    kind = Kind.NOT_FOUND
    reason = "RESOURCE_NOT_FOUND"
    text = "there is no {name}: check the name and the merchant"
    name: str


@dataclass
class TransitionRefused(Refusal):
    """The state table has no such transition."""

    kind = Kind.REFUSED
    reason = "TRANSITION_REFUSED"
    text = "{table} in state {state} does not accept {event}"
    table: str
    state: str
    event: str


@dataclass
class EtagMismatch(Refusal):
    """The etag is not the current one."""

    kind = Kind.LOST_RACE
    reason = "ETAG_MISMATCH"
    text = "the etag is not the current one of {name}: read it again and decide anew"
    name: str


@dataclass
class RaceLost(Refusal):
    """Somebody else changed the resource first."""

    kind = Kind.LOST_RACE
    reason = "RACE_LOST"
    text = "{name} was changed by somebody else meanwhile: read it again and restart"
    name: str


@dataclass
class PageTokenInvalid(Refusal):
    """Not a page token of ours for this filter."""

    kind = Kind.INVALID
    reason = "PAGE_TOKEN_INVALID"
    text = "page_token does not belong to this request: repeat the first page with the same filter"


@dataclass
class PeerUnavailable(Refusal):
    """A peer cannot be reached and nothing has happened."""

    kind = Kind.UNAVAILABLE
    reason = "PEER_UNAVAILABLE"
    text = "{peer} cannot be reached and nothing has happened: repeat the same call"
    retry_after_s = 1.0
    peer: str


@dataclass
class StoreUnavailable(Refusal):
    """The database cannot be reached and nothing has happened."""

    kind = Kind.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"
    text = (
        "the database of this service cannot be reached and nothing has happened: "
        "repeat the same call"
    )
    retry_after_s = 1.0


@dataclass
class DeadlineExceeded(Refusal):
    """The caller's deadline ended before an answer."""

    kind = Kind.DEADLINE
    reason = "DEADLINE_EXCEEDED"
    text = (
        "the deadline of {method} ended before an answer: ask again with the same idempotency key"
    )
    method: str


@dataclass
class NotServed(Refusal):
    """Part of the contract that this deployment does not serve."""

    kind = Kind.NOT_SERVED
    reason = "NOT_SERVED"
    text = "{what} is not served by this deployment"
    what: str


@dataclass
class AssetUnknown(Refusal):
    """The asset registry has no such code."""

    kind = Kind.INVALID
    reason = "ASSET_UNKNOWN"
    text = "{field} is {value}: it must be an ISO 4217 code or a crypto asset of the registry"
    field: str
    value: str


@dataclass
class OperationReused(Refusal):
    """The operation id was used before with another request."""

    kind = Kind.REFUSED
    reason = "OPERATION_REUSED"
    text = "{operation} was sent before with another request: one operation is one request"
    operation: str


@dataclass
class OperationFenced(Refusal):
    """A look-up closed the door for this operation."""

    kind = Kind.REFUSED
    reason = "OPERATION_FENCED"
    text = "{operation} was looked up and closed: it can no longer be sent"
    operation: str


@dataclass
class LimitExceeded(Refusal):
    """A named limit was passed."""

    kind = Kind.EXHAUSTED
    reason = "LIMIT_EXCEEDED"
    text = "{what} is over the limit of {limit}"
    what: str
    limit: str


@dataclass
class CursorExpired(Refusal):
    """The cursor is older than what is retained."""

    kind = Kind.OUT_OF_RANGE
    reason = "CURSOR_EXPIRED"
    text = "position {position} of shard {shard} is older than what is retained: start a new import"
    shard: int
    position: int
