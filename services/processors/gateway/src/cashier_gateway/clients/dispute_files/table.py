"""A CSV file of a processor as rows by column name; whatever is wrong is said with its place."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cashier_common.redact import holds_card_number

# A day of disputes has hundreds of rows; a file of more is no report of disputes.
FILE_MAX_BYTES: Final = 16 << 20
ROWS_MAX: Final = 20_000
COLUMNS_MAX: Final = 256
FIELD_MAX_CHARS: Final = 16_384
REFERENCE_MAX_CHARS: Final = 128
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class FileRefused(Exception):
    """Nothing of the file was taken; the sentence names line and column, and no content."""

    def __init__(self, sentence: str, *, line: int = 0, column: str = "") -> None:
        place = f"line {line}, " if line else ""
        named = f"column {column!r}: " if column else ""
        super().__init__(f"{place}{named}{sentence}")


@dataclass(frozen=True, slots=True)
class Row:
    """One row; every way of reading a cell refuses what it is not."""

    line: int
    cells: dict[str, str]

    def text(self, column: str, *, most: int = REFERENCE_MAX_CHARS) -> str:
        """The trimmed text, which may be empty; never a card number."""
        value = self.cells[column].strip()
        if len(value) > most:
            raise self.refused(column, f"has {len(value)} characters, at most {most} are read")
        if not value.isprintable():
            raise self.refused(column, "has characters that cannot be printed")
        if holds_card_number(value):
            raise self.refused(column, "holds what looks like a card number: nothing was kept")
        return value

    def some(self, column: str) -> str:
        """The text, which must be there."""
        value = self.text(column)
        if not value:
            raise self.refused(column, "is empty")
        return value

    def chosen(self, column: str, words: Sequence[str]) -> str:
        """One of the words."""
        value = self.text(column)
        if value not in words:
            raise self.refused(column, f"says {value[:32]!r}, known are {', '.join(words)}")
        return value

    def moment(self, column: str) -> datetime | None:
        """A UTC time, or None where the cell is empty."""
        value = self.text(column)
        if not value:
            return None
        try:
            told = datetime.fromisoformat(value.removesuffix(" UTC"))
        except ValueError:
            raise self.refused(column, "is no time like 2023-04-26 23:59:59") from None
        return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)

    def refused(self, column: str, problem: str) -> FileRefused:
        """The refusal of a cell."""
        return FileRefused(problem, line=self.line, column=column)


def read_lines(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """The CSV rows with their line numbers, blank ones left out; FileRefused for anything else."""
    if len(content) > FILE_MAX_BYTES:
        raise FileRefused(f"the file has more than {FILE_MAX_BYTES} bytes")
    if b"\0" in content:
        raise FileRefused(f"a zero byte at offset {content.index(0)}: this is no text file")
    try:
        text = content.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileRefused("is no UTF-8: export it as UTF-8", line=line) from None
    csv.field_size_limit(FIELD_MAX_CHARS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileRefused(f"is no CSV ({error})", line=reader.line_num) from None
        if len(cells) > COLUMNS_MAX:
            raise FileRefused(f"has more than {COLUMNS_MAX} columns", line=reader.line_num)
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def table(
    lines: Iterator[tuple[int, list[str]]], header: tuple[int, list[str]], needed: Sequence[str]
) -> Iterator[Row]:
    """Rows below a header that names at least what is needed."""
    line, names = header[0], [name.strip() for name in header[1]]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise FileRefused(f"names {', '.join(repeated)[:200]} more than once", line=line)
    missing = [name for name in needed if name not in names]
    if missing:
        raise FileRefused(f"has no column {', '.join(missing)}", line=line)
    for count, (number, cells) in enumerate(lines, start=1):
        if count > ROWS_MAX:
            raise FileRefused(f"more than {ROWS_MAX} rows: export a shorter period", line=number)
        if len(cells) != len(names):
            raise FileRefused(
                f"has {len(cells)} columns where the header has {len(names)}", line=number
            )
        yield Row(number, dict(zip(names, cells, strict=True)))
