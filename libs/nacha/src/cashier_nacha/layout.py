"""One line of 94 characters as a table of fields, read and written by the same table."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from cashier_nacha.faults import FileRefused, RecordRefused, shape

LINE_CHARS: Final = 94
# A file's years have two digits; the format is older than 2000, its files are not.
CENTURY: Final = 2000
_PRINTABLE: Final = re.compile(r"[ -~]*")
_DIGITS: Final = re.compile(r"[0-9]*")


class Kind(StrEnum):
    """How a field is written."""

    CONSTANT = "CONSTANT"
    NUMBER = "NUMBER"  # an int, filled with zeros on its left
    DIGITS = "DIGITS"  # text of digits only
    OPTIONAL_DIGITS = "OPTIONAL_DIGITS"  # the same, or blanks
    TEXT = "TEXT"  # filled with blanks on its right; blanks around it mean nothing
    VERBATIM = "VERBATIM"  # the same, but blanks on its left count
    DATE = "DATE"  # YYMMDD; blanks or zeros are None
    RESERVED = "RESERVED"  # written as blanks and not read


@dataclass(frozen=True, slots=True)
class Field:
    """Columns `first` to `last`, counted from 1 as the rules do."""

    name: str
    first: int
    last: int
    kind: Kind
    constant: str = ""

    @property
    def width(self) -> int:
        """How many characters."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of one kind of record. They cover the line without gap or overlap."""

    name: str
    fields: tuple[Field, ...]

    def read(self, line: str, number: int) -> dict[str, Any]:
        """The values by field; FileRefused names what cannot be read."""
        values = {}
        for field in self.fields:
            text = line[field.first - 1 : field.last]
            if field.kind is Kind.CONSTANT:
                if text != field.constant:
                    problem = f"must be {field.constant}, found {shape(text)!r}"
                    raise _fault(field, problem, number)
            elif field.kind is not Kind.RESERVED:
                values[field.name] = _read(field, text, number)
        return values

    def write(self, values: Mapping[str, Any]) -> str:
        """The line; RecordRefused where a value does not fit. Nothing is cut short."""
        return "".join(_write(self.name, field, values.get(field.name)) for field in self.fields)

    def columns(self, name: str) -> tuple[int, int]:
        """Where a field stands, for a fault."""
        return next((field.first, field.last) for field in self.fields if field.name == name)

    def fault(self, name: str, problem: str, line: int) -> FileRefused:
        """A fault of one field."""
        return FileRefused(problem, line=line, columns=self.columns(name), field=name)


def layout(name: str, text: str) -> Layout:
    """A layout from lines of `width name kind [constant]`, in their order from column 1."""
    return Layout(name, tuple(_fields(name, text)))


def _fields(name: str, text: str) -> Iterator[Field]:
    column = 1
    for row in text.strip().splitlines():
        width, field, kind, *constant = row.split()
        last = column + int(width) - 1
        yield Field(field, column, last, Kind(kind.upper()), constant[0] if constant else "")
        column = last + 1
    if column != LINE_CHARS + 1:
        raise ValueError(f"the fields of {name} end at column {column - 1}, not at {LINE_CHARS}")


def _read(field: Field, text: str, number: int) -> Any:  # noqa: ANN401 - the kind says which
    match field.kind:
        case Kind.TEXT:
            return text.strip()
        case Kind.VERBATIM:
            return text.rstrip()
        case Kind.OPTIONAL_DIGITS if not text.strip():
            return ""
        case Kind.DATE if not text.strip(" 0"):
            return None
    if not _DIGITS.fullmatch(text):
        raise _fault(field, f"must be {field.width} digits, found {shape(text)!r}", number)
    if field.kind is Kind.NUMBER:
        return int(text)
    if field.kind is Kind.DATE:
        try:
            return date(CENTURY + int(text[:2]), int(text[2:4]), int(text[4:]))
        except ValueError:
            raise _fault(field, f"must be a date YYMMDD, found {text}", number) from None
    return text


def _fault(field: Field, problem: str, number: int) -> FileRefused:
    columns = (field.first, field.last)
    return FileRefused(problem, line=number, columns=columns, field=field.name)


def _write(record: str, field: Field, value: Any) -> str:  # noqa: ANN401 - the kind says which
    place = f"{record}.{field.name}"
    match field.kind:
        case Kind.CONSTANT:
            return field.constant
        case Kind.RESERVED:
            return " " * field.width
        case Kind.DATE:
            return "".ljust(6) if value is None else _day(place, value)
        case Kind.NUMBER:
            text = _number(place, value).rjust(field.width, "0")
        case Kind.TEXT | Kind.VERBATIM:
            text = _text(place, value, field.kind).ljust(field.width)
        case Kind.OPTIONAL_DIGITS if value == "":
            text = " " * field.width
        case _:
            text = _text(place, value)
            if not _DIGITS.fullmatch(text) or len(text) != field.width:
                raise RecordRefused(f"{place} must be {field.width} digits, and is {shape(text)!r}")
    if len(text) != field.width:
        raise RecordRefused(f"{place} has {len(text)} characters, {field.width} fit")
    return text


def _number(place: str, value: object) -> str:
    if type(value) is not int or value < 0:
        raise RecordRefused(f"{place} must be a whole number of at least 0")
    return str(value)


def _text(place: str, value: object, kind: Kind = Kind.TEXT) -> str:
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise RecordRefused(f"{place} must be printable ASCII")
    if value != (value.rstrip() if kind is Kind.VERBATIM else value.strip()):
        raise RecordRefused(f"{place} has blanks around it, which the format does not keep")
    return value


def _day(place: str, value: object) -> str:
    if not isinstance(value, date) or value.year // 100 * 100 != CENTURY:
        raise RecordRefused(f"{place} must be a date of the years {CENTURY} to {CENTURY + 99}")
    return value.strftime("%y%m%d")
