"""Read a file: every record, every count and every sum, or a refusal that says where and why."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from cashier_nacha.batch import close_batch, open_batch
from cashier_nacha.faults import FileRefused, Quirk
from cashier_nacha.layout import LINE_CHARS
from cashier_nacha.layouts import FILE_CONTROL, FILE_HEADER
from cashier_nacha.lines import Lines
from cashier_nacha.records import Batch, File, FileHeader
from cashier_nacha.totals import BLOCK_LINES, Totals, file_totals

# The largest files that originators send hold some ten thousands of entries; this is 9.5 MB.
LINES_MAX: Final = 100_000
BYTES_MAX: Final = LINES_MAX * (LINE_CHARS + 2)
BATCHES_MAX: Final = 10_000
FILLER: Final = "9" * LINE_CHARS


@dataclass(slots=True)
class _Tolerance:
    """Raises a fault, or keeps it where the caller can live with it."""

    tolerated: AbstractSet[Quirk]
    remarks: list[FileRefused] = field(default_factory=list)

    def tell(self, fault: FileRefused) -> None:
        if fault.quirk not in self.tolerated:
            raise fault
        self.remarks.append(fault)


def parse(content: bytes, *, tolerated: AbstractSet[Quirk] = frozenset()) -> File:
    """The file, checked whole. FileRefused, and nothing else, says what is wrong with it.

    A fault in `tolerated` is among the file's remarks instead.
    """
    lines = Lines(_split(content))
    tolerance = _Tolerance(tolerated)
    number, line = lines.take()
    if line[0] != "1":
        raise FileRefused(
            f"a file header (1) must come first, found a record of type {line[0]}",
            line=number, columns=(1, 1), field="record_type",
        )  # fmt: skip
    header = FileHeader(**FILE_HEADER.read(line, number))
    batches: list[Batch] = []
    while lines.next_type() == "5":
        if len(batches) == BATCHES_MAX:
            raise FileRefused(f"more than {BATCHES_MAX} batches", line=lines.number + 1)
        opened = open_batch(lines)
        batches.append(close_batch(opened, lines))
    _close(lines, batches, tolerance)
    return File(header, tuple(batches), tuple(tolerance.remarks))


def _close(lines: Lines, batches: list[Batch], tolerance: _Tolerance) -> None:
    if lines.next_type() != "9":
        raise FileRefused(
            "a batch header (5) or the file control (9) must come here, found "
            + lines.next_shape(),
            line=lines.number + 1, columns=(1, 1), field="record_type",
        )  # fmt: skip
    number, line = lines.take()
    if line == FILLER:
        raise FileRefused("the file control is missing before the filler lines", line=number)
    values, totals = FILE_CONTROL.read(line, number), file_totals(batches)
    _compare(values, totals, number)
    if values["batch_count"] != len(batches):
        problem = f"declared {values['batch_count']}, found {len(batches)}"
        fault = FILE_CONTROL.fault("batch_count", problem, number)
        fault.quirk = Quirk.BATCH_COUNT
        tolerance.tell(fault)
    for place, filler in lines.rest():
        if filler != FILLER:
            raise FileRefused("only lines of nines may follow the file control", line=place)
    blocks = -(-lines.total // BLOCK_LINES)
    if values["block_count"] != blocks:
        problem = f"declared {values['block_count']}, found {blocks}"
        raise FILE_CONTROL.fault("block_count", problem, number)
    if lines.total % BLOCK_LINES:
        problem = f"{lines.total} lines are no whole blocks of {BLOCK_LINES}"
        tolerance.tell(FileRefused(problem, quirk=Quirk.BLOCKING))


def _compare(values: dict[str, Any], totals: Totals, number: int) -> None:
    for name, found in totals.told().items():
        if values[name] != found:
            problem = f"declared {values[name]}, found {found}"
            raise FILE_CONTROL.fault(name, problem, number)


def _split(content: bytes) -> Iterator[str]:
    if len(content) > BYTES_MAX:
        raise FileRefused(f"{len(content)} bytes, {BYTES_MAX} are allowed")
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        place = content.count(b"\n", 0, error.start) + 1
        raise FileRefused("a character outside ASCII", line=place) from None
    rows = text.split("\n")
    if rows[-1] in {"", "\r"}:
        rows.pop()
    if not rows:
        raise FileRefused("it is empty")
    if len(rows) > LINES_MAX:
        raise FileRefused(f"{len(rows)} lines, {LINES_MAX} are allowed")
    for number, row in enumerate(rows, start=1):
        line = row.removesuffix("\r")
        if len(line) != LINE_CHARS:
            raise FileRefused(f"{len(line)} characters, a record has {LINE_CHARS}", line=number)
        if not line.isprintable():
            raise FileRefused("a control character", line=number)
        yield line
