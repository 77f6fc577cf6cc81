"""What is wrong with a file: line, columns, field, and the shape of a value, never the value."""

import re
from enum import StrEnum
from typing import Final

SHAPE_MAX_CHARS: Final = 40


class Quirk(StrEnum):
    """A fault that some banks' files have and that a caller may choose to tolerate."""

    BATCH_COUNT = "BATCH_COUNT"  # the file control counts other batches than the file has
    BLOCKING = "BLOCKING"  # not filled up to whole blocks of ten lines


class FileRefused(Exception):
    """A file that is not taken. `columns` count from 1; both are 0 where no one field is at fault.

    The sentence holds counts, codes and shapes, and no account number or name.
    """

    def __init__(
        self,
        problem: str,
        *,
        line: int = 0,
        columns: tuple[int, int] = (0, 0),
        field: str = "",
        quirk: Quirk | None = None,
    ) -> None:
        place = f"line {line}" if line else "the file"
        if columns[0]:
            place += f", columns {columns[0]}-{columns[1]}"
        super().__init__(f"{place}{', ' + field if field else ''}: {problem}")
        self.problem, self.line, self.columns = problem, line, columns
        self.field, self.quirk = field, quirk


class RecordRefused(ValueError):
    """A record that cannot be written: a value does not fit its field."""


def shape(value: str) -> str:
    """What a value looks like: 9 for a digit, A for a letter, ? for what is not ASCII."""
    masked = re.sub(r"[A-Za-z]", "A", re.sub(r"[0-9]", "9", value))
    masked = "".join(char if " " <= char <= "~" else "?" for char in masked)
    return masked if len(masked) <= SHAPE_MAX_CHARS else f"{masked[:SHAPE_MAX_CHARS]}…"
