"""Refuses requests that their own contract forbids; reflection reads it, once per type."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cashier_common.errors import CardNumberRefused, FieldInvalid, FieldRequired
from cashier_common.redact import (
    PERSONAL_MASK,
    holds_card_number,
    is_personal,
    masked,
    may_hold_card_number,
)
from cashier_common.rpc.identity import MERCHANT

TEXT_MAX_CHARS = 2_048  # generous for a reference or a URL; documents name a limit of their own
ITEMS_MAX = 100  # a repeated field; longer lists are paged or streamed
ENTRIES_MAX = 50  # a map field: metadata, not a table
SHOWN_MAX_CHARS = 64  # how much of a refused value an error repeats
TIMESTAMP = Timestamp.DESCRIPTOR.full_name
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799  # timestamp.proto: years 1 to 9999
DURATION = Duration.DESCRIPTOR.full_name
LONGEST_S = 315_576_000_000  # duration.proto: 10,000 years, forwards or backwards
SECOND_NANOS = 1_000_000_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_DOCUMENT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

Check = Callable[[Any, str], None]


class Plans:
    """The plan of each message type, made when the type is first met.

    `limits` raises or lowers the limit of single fields, by full name (`cashier.x.v1.Y.document`):
    characters of a text, items of a list, entries of a map. A text with a limit of its own is a
    document and may hold line breaks and tabs.
    """

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self.limits = dict(limits or {})
        self._plans: dict[str, Plan] = {}

    def plan(self, descriptor: Descriptor) -> "Plan":
        """The plan of a type; types that contain themselves share one plan."""
        plan = self._plans.get(descriptor.full_name)
        if plan is None:
            plan = self._plans[descriptor.full_name] = Plan()
            plan.fill(descriptor, self)
        return plan


class Plan:
    """What to look at in one message type: nothing is looked up while a request waits."""

    __slots__ = ("_checks", "_count", "_groups", "_required", "has_merchant", "needs_merchant")

    def __init__(self) -> None:
        self._checks: dict[int, Check] = {}
        self._required: dict[int, str] = {}
        self._groups: tuple[str, ...] = ()
        self._count = 0
        self.has_merchant = False
        self.needs_merchant = False

    def fill(self, descriptor: Descriptor, plans: Plans) -> None:
        groups = set()
        for field in descriptor.fields:
            required = _behaves(field, field_behavior_pb2.REQUIRED)
            oneof = field.containing_oneof
            if required and oneof is not None and len(oneof.fields) > 1:
                groups.add(oneof.name)  # one member of the group must be set
            elif required:
                self._required[field.number] = field.name
            check = _check(field, plans)
            if check is not None:
                self._checks[field.number] = check
            if field.name == "merchant" and field.type == FieldDescriptor.TYPE_STRING:
                self.has_merchant, self.needs_merchant = True, required
        self._groups = tuple(sorted(groups))
        self._count = len(self._required)

    def check(self, message: Message, path: str = "") -> None:
        """FieldRequired or FieldInvalid, naming the field by its path from the request."""
        checks, required, seen = self._checks, self._required, 0
        for field, value in message.ListFields():
            number = field.number
            if number in required:
                seen += 1
            check = checks.get(number)
            if check is not None:
                check(value, path)
        if seen != self._count:
            present = {field.number for field, _ in message.ListFields()}
            raise FieldRequired(path + next(n for i, n in required.items() if i not in present))
        for group in self._groups:
            if message.WhichOneof(group) is None:
                raise FieldRequired(path + group)


def refuse_card_numbers(message: Message, raw: bytes) -> None:
    """CardNumberRefused with the path of the first text that reads as a card number."""
    if may_hold_card_number(raw):
        for path, text in _texts(message, ""):
            if holds_card_number(text):
                raise CardNumberRefused(path)


def _texts(message: Message, path: str) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        here = path + field.name
        if _is_map(field):
            items = [*value.keys(), *value.values()]
        else:
            items = value if field.is_repeated else [value]
        for item in items:
            if isinstance(item, str):
                yield here, item
            elif isinstance(item, Message):
                yield from _texts(item, f"{here}.")


def _check(field: FieldDescriptor, plans: Plans) -> Check | None:
    if _behaves(field, field_behavior_pb2.OUTPUT_ONLY):
        return _must_be_unset(field)
    if _is_map(field):
        return _map_check(field, plans)
    one = _one_check(field, plans)
    return _list_check(field, one, plans) if field.is_repeated else one


def _one_check(field: FieldDescriptor, plans: Plans) -> Check | None:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text_check(field, plans)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum_check(field)
    if field.message_type is not None:
        if field.message_type.full_name in _KNOWN_TYPES:
            return _KNOWN_TYPES[field.message_type.full_name](field)
        plan, below = plans.plan(field.message_type), f"{field.name}."
        return lambda value, path: plan.check(value, path + below)
    return None


def _text_check(field: FieldDescriptor, plans: Plans) -> Check:
    name, show = field.name, _show(field)
    limit = plans.limits.get(field.full_name, TEXT_MAX_CHARS)
    control = _CONTROL_IN_DOCUMENT if field.full_name in plans.limits else _CONTROL
    pattern = MERCHANT if name == "merchant" else None
    required = _behaves(field, field_behavior_pb2.REQUIRED) and not field.is_repeated

    def check(value: str, path: str) -> None:
        if len(value) > limit:
            size = f"{len(value)} characters long"
            raise FieldInvalid(path + name, size, f"at most {limit} characters")
        if not value.isprintable() and (found := control.search(value)):
            character = f"text with the control character U+{ord(found[0]):04X}"
            raise FieldInvalid(path + name, character, "text without control characters")
        if required and is_blank(value):
            raise FieldRequired(path + name)
        if pattern is not None and value and pattern.fullmatch(value) is None:
            raise FieldInvalid(path + name, show(value), "a merchant id such as acme-games")

    return check


def _enum_check(field: FieldDescriptor) -> Check:
    name, enum = field.name, cast("EnumDescriptor", field.enum_type)
    known = frozenset(enum.values_by_number)
    expected = f"a value of {enum.full_name} that this server knows"

    def check(value: int, path: str) -> None:
        # A plain field is listed only if it is not 0: a 0 here was said aloud or stands in a list.
        if value not in known or value == 0:
            raise FieldInvalid(path + name, str(value), expected)

    return check


def _time_check(field: FieldDescriptor) -> Check:
    name = field.name

    def check(value: Timestamp, path: str) -> None:
        if not (FIRST_SECOND <= value.seconds <= LAST_SECOND and 0 <= value.nanos < SECOND_NANOS):
            told = f"{value.seconds} s and {value.nanos} ns"
            raise FieldInvalid(path + name, told, "a time between the years 1 and 9999")

    return check


def _duration_check(field: FieldDescriptor) -> Check:
    name = field.name

    def check(value: Duration, path: str) -> None:
        seconds, nanos = value.seconds, value.nanos
        in_range = -LONGEST_S <= seconds <= LONGEST_S and -SECOND_NANOS < nanos < SECOND_NANOS
        if not in_range or seconds * nanos < 0:
            told = f"{seconds} s and {nanos} ns"
            expected = f"at most {LONGEST_S} s long, its seconds and nanoseconds of one sign"
            raise FieldInvalid(path + name, told, expected)

    return check


_KNOWN_TYPES: Mapping[str, Callable[[FieldDescriptor], Check]] = {
    TIMESTAMP: _time_check,
    DURATION: _duration_check,
}


def _list_check(field: FieldDescriptor, one: Check | None, plans: Plans) -> Check:
    name, limit = field.name, plans.limits.get(field.full_name, ITEMS_MAX)

    def check(values: Any, path: str) -> None:
        if len(values) > limit:
            raise FieldInvalid(path + name, f"{len(values)} items long", f"at most {limit} items")
        if one is not None:
            for value in values:
                one(value, path)

    return check


def _map_check(field: FieldDescriptor, plans: Plans) -> Check:
    name, limit = field.name, plans.limits.get(field.full_name, ENTRIES_MAX)
    entry = cast("Descriptor", field.message_type)
    key_check = _one_check(entry.fields_by_name["key"], plans)
    value_check = _one_check(entry.fields_by_name["value"], plans)
    below = f"{name}."

    def check(values: Any, path: str) -> None:
        if len(values) > limit:
            raise FieldInvalid(
                path + name, f"{len(values)} entries long", f"at most {limit} entries"
            )
        for key, value in values.items():
            if key_check is not None:
                key_check(key, path + below)
            if value_check is not None:
                value_check(value, path + below)

    return check


def _must_be_unset(field: FieldDescriptor) -> Check:
    def check(_: Any, path: str) -> None:
        raise FieldInvalid(
            path + field.name, "set by the caller", "left unset: only the server sets it"
        )

    return check


def _show(field: FieldDescriptor) -> Callable[[str], str]:
    if is_personal(field):
        return lambda _: PERSONAL_MASK
    return shown


def is_blank(value: str) -> bool:
    """Whether nobody can see anything in it: spaces of any width, zero-width marks, nothing."""
    return not any(c.isprintable() and not c.isspace() for c in value)


def shown(value: str) -> str:
    """As much of a refused value as an error may repeat: masked, cut, no control characters."""
    safe = masked(value[: 2 * SHOWN_MAX_CHARS])[:SHOWN_MAX_CHARS]
    return "".join("?" if unicodedata.category(c) == "Cc" else c for c in safe)


def _behaves(field: FieldDescriptor, behavior: int) -> bool:
    extension: Any = field_behavior_pb2.field_behavior  # its package has no stubs to know it by
    return behavior in field.GetOptions().Extensions[extension]


def _is_map(field: FieldDescriptor) -> bool:
    entry = field.message_type
    return entry is not None and entry.GetOptions().map_entry
