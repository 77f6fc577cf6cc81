"""Requests that no good caller sends, made from the contracts themselves."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final, cast

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1
DEPTH_MAX: Final = 1
TEXTS: Final = {
    "empty": "",
    "spaces": "   ",
    "control characters": "a\x00b\x1b[31mc\x7f",
    "long": "x" * 100_000,
    "long and wide": "🂡" * 2_000,
    "right to left": "\u202egnp.exe",
    "code of others": "%s%n{0}{field}'; DROP TABLE payments; --",
}
NUMBERS: Final = {
    FieldDescriptor.TYPE_INT32: (-1, 0, INT32_MAX, -INT32_MAX - 1),
    FieldDescriptor.TYPE_INT64: (-1, 0, INT64_MAX, -INT64_MAX - 1),
    FieldDescriptor.TYPE_ENUM: (-1, 0, 999, INT32_MAX),
}
BYTES: Final = {
    "invalid UTF-8 in a text": b"\x0a\x03a\xff\xfe",
    "cut off": b"\x0a\x7fabc",
    "a group that never ends": b"\x0b",
    "wire type that does not exist": b"\x0f\x01",
    "varint without an end": b"\x08" + b"\xff" * 11,
    "noise": bytes(range(0x80, 0x100)),
}


def methods_of(contract: ModuleType) -> list[MethodDescriptor]:
    """Every method of every service in a generated module."""
    services = contract.DESCRIPTOR.services_by_name.values()
    return [method for service in services for method in service.methods]


def request_of(method: MethodDescriptor) -> Message:
    """An empty request of a method."""
    made: Message = message_factory.GetMessageClass(method.input_type)()
    return made


def spoiled(good: Message) -> Iterator[tuple[str, Message]]:
    """The message with one field spoiled in one way each: what was done, and the result."""
    for path, field in _fields(good):
        for how, put in _ways(field):
            message = type(good)()
            message.CopyFrom(good)
            holder: Any = message
            for name in path:
                holder = getattr(holder, name)
            put(holder)
            yield f"{'.'.join([*path, field.name])} {how}", message


def _fields(
    message: Message, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldDescriptor]]:
    for field in message.DESCRIPTOR.fields:
        yield path, cast("FieldDescriptor", field)
        nested = field.message_type
        is_one = nested is not None and not field.is_repeated
        if is_one and len(path) < DEPTH_MAX and not _comes_back(message, field):
            yield from _fields(getattr(message, field.name), (*path, field.name))


def _comes_back(message: Message, field: FieldDescriptor) -> bool:
    return field.message_type is message.DESCRIPTOR


def _ways(field: FieldDescriptor) -> Iterator[tuple[str, Any]]:
    name = field.name
    yield "unset", lambda holder: holder.ClearField(name)
    for how, value in _values(field):
        if _is_map(field):
            yield f"with {how}", lambda holder, v=value: getattr(holder, name).update({v: v})
        elif field.is_repeated:
            yield f"with {how}", lambda holder, v=value: getattr(holder, name).append(v)
        else:
            yield f"as {how}", lambda holder, v=value: setattr(holder, name, v)
    if _is_map(field):
        many = {f"key-{number}": "v" for number in range(2_000)}
        yield "with 2,000 entries", lambda holder: getattr(holder, name).update(many)
    elif field.is_repeated and (values := list(_values(field))):
        many_times = [values[0][1]] * 2_000
        yield "with 2,000 items", lambda holder: getattr(holder, name).extend(many_times)


def _values(field: FieldDescriptor) -> Iterator[tuple[str, Any]]:
    if field.type == FieldDescriptor.TYPE_STRING or _is_map(field):
        yield from TEXTS.items()
    else:
        for number in NUMBERS.get(field.type, ()):
            yield str(number), number


def _is_map(field: FieldDescriptor) -> bool:
    nested = field.message_type
    return nested is not None and bool(nested.GetOptions().map_entry)
