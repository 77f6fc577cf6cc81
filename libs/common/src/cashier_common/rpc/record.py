"""What every service answers alike about its record: places that exist, and the proof of it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal, Protocol, TypeVar

from cashier.common.v1 import audit_pb2
from cashier_common.db.audit import SHARD_COUNT, Finding, Verification
from cashier_common.errors import FieldInvalid

FIRST_POSITION: Final = 1

Verify = Callable[[int | None, int], Awaitable[Verification]]
"""Checks one shard (None: all) from a position on."""


class Placed(Protocol):
    """A request of a stream: behind which position of which shard it begins."""

    @property
    def shard(self) -> int: ...

    @property
    def after_position(self) -> int: ...


class Range(Protocol):
    """A `VerifyAuditLogRequest` of any service."""

    @property
    def shard(self) -> int: ...

    @property
    def min_position(self) -> int: ...

    def HasField(self, field_name: Literal["shard"], /) -> bool: ...


class Proof(Protocol):
    """A `VerifyAuditLogResponse` of any service."""

    def __init__(
        self,
        *,
        checked_row_count: int = ...,
        findings: Iterable[audit_pb2.AuditFinding] | None = ...,
    ) -> None: ...


Answer = TypeVar("Answer", bound=Proof)


def require_place(request: Placed) -> None:
    """FieldInvalid where the shard or the position cannot exist."""
    _require_shard(request.shard)
    if request.after_position < 0:
        raise FieldInvalid("after_position", str(request.after_position), "0 or a position")


async def verify_audit_log(request: Range, verify: Verify, answer: type[Answer]) -> Answer:
    """`VerifyAuditLog` of a service: FieldInvalid, or what its record's `verify` found."""
    shard = request.shard if request.HasField("shard") else None
    if shard is not None:
        _require_shard(shard)
    if request.min_position < 0:
        raise FieldInvalid("min_position", str(request.min_position), "0 or a position")
    found = await verify(shard, max(request.min_position, FIRST_POSITION))
    return answer(
        checked_row_count=found.checked, findings=[_finding(finding) for finding in found.findings]
    )


def _require_shard(shard: int) -> None:
    if not 0 <= shard < SHARD_COUNT:
        raise FieldInvalid("shard", str(shard), f"from 0 to {SHARD_COUNT - 1}")


def _finding(finding: Finding) -> audit_pb2.AuditFinding:
    return audit_pb2.AuditFinding(
        kind=audit_pb2.AuditFinding.Kind.Value(f"KIND_{finding.fault.name}"),
        shard=finding.shard,
        position=finding.position,
        subject=finding.subject,
        version=finding.version,
        detail=finding.detail,
    )
