"""Times between the contract and the domain."""

from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cashier_common.errors import FieldInvalid

_NANOS_PER_MICRO = 1_000


def to_time(at: datetime) -> Timestamp:
    """A UTC time as a Timestamp."""
    seconds = int(at.replace(microsecond=0).astimezone(UTC).timestamp())
    return Timestamp(seconds=seconds, nanos=at.microsecond * _NANOS_PER_MICRO)


def from_time(request: Message, field: str) -> datetime | None:
    """The UTC time in a request's field; None where it is unset, FieldInvalid out of range."""
    if not request.HasField(field):
        return None
    stamp: Timestamp = getattr(request, field)
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise FieldInvalid(
            field=field, value="out of range", expected="a time between the years 1 and 9999"
        ) from None
