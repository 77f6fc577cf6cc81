"""Why a request is not done: the documented codes, and which of them promise no effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Code(StrEnum):
    """The `code` of an error answer; append only."""

    INVALID_REQUEST = "invalid_request"
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105  a code, not a secret
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    KEY_IN_PROGRESS = "key_in_progress"
    KEY_CLOSED = "key_closed"
    DUPLICATE = "duplicate"
    STATE_REFUSED = "state_refused"
    NOTHING_TO_SETTLE = "nothing_to_settle"
    BODY_TOO_LARGE = "body_too_large"
    RATE_LIMITED = "rate_limited"
    INTERNAL_ERROR = "internal_error"
    SERVICE_UNAVAILABLE = "service_unavailable"


# Everything else is refused before anything could happen.
MAY_HAVE_HAPPENED = {Code.KEY_IN_PROGRESS, Code.INTERNAL_ERROR}


@dataclass(eq=False)
class Refused(Exception):
    """A refusal with a sentence for people; `where` names what of the request is wrong.

    `more` is what an imitated API adds to it in its own words; `replayed` is set where a key keeps
    its first refusal and this is that one again.
    """

    code: Code
    message: str
    where: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False

    def __str__(self) -> str:
        return self.message


class ConnectionCut(Exception):
    """The caller gets no answer at all."""


def invalid(field: str, message: str) -> Refused:
    """Return the refusal of one field."""
    return Refused(Code.INVALID_REQUEST, message, field)
