"""Write a file: records, control sums and filler lines follow from the entries."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from cashier_nacha.faults import RecordRefused
from cashier_nacha.layout import Layout
from cashier_nacha.layouts import (
    ADDENDA,
    BATCH_CONTROL,
    BATCH_HEADER,
    CHANGE,
    CONTESTED,
    DISHONORED,
    ENTRY,
    FILE_CONTROL,
    FILE_HEADER,
    IAT_BATCH_HEADER,
    IAT_ENTRY,
    IAT_RETURN,
    REFUSED_CHANGE,
    RETURN,
)
from cashier_nacha.parse import BATCHES_MAX, FILLER, LINES_MAX
from cashier_nacha.records import (
    Batch,
    Change,
    ContestedReturn,
    DishonoredReturn,
    Entry,
    File,
    IatBatchHeader,
    IatEntry,
    RefusedChange,
    Verdict,
)
from cashier_nacha.routing import check_digit
from cashier_nacha.totals import BLOCK_LINES, batch_totals, file_totals
from cashier_nacha.transaction_codes import TRANSACTION_CODES


def write(file: File) -> bytes:
    """The file's bytes, which `parse` reads as the same file.

    RecordRefused where a value does not fit its field, or the file is larger than what is read.
    """
    lines = [FILE_HEADER.write(_values(file.header))]
    if len(file.batches) > BATCHES_MAX:
        raise RecordRefused(f"{len(file.batches)} batches, {BATCHES_MAX} are read")
    for batch in file.batches:
        lines.extend(_batch(batch))
    blocks = -(-(len(lines) + 1) // BLOCK_LINES)
    totals = file_totals(file.batches)
    lines.append(
        FILE_CONTROL.write(
            {"batch_count": len(file.batches), "block_count": blocks, **totals.told()}
        )
    )
    lines.extend([FILLER] * (blocks * BLOCK_LINES - len(lines)))
    if len(lines) > LINES_MAX:
        raise RecordRefused(f"{len(lines)} lines, {LINES_MAX} are read")
    return ("\n".join(lines) + "\n").encode("ascii")


def _batch(batch: Batch) -> Iterator[str]:
    header = batch.header
    if not batch.entries:
        raise RecordRefused("a batch needs entries")
    is_iat = isinstance(header, IatBatchHeader)
    yield (IAT_BATCH_HEADER if is_iat else BATCH_HEADER).write(_values(header))
    for entry in batch.entries:
        yield from _entry(entry)
    yield BATCH_CONTROL.write(
        {
            "service_class": header.service_class,
            "company_id": header.company_id,
            "authentication": batch.authentication,
            "odfi": header.odfi,
            "number": header.number,
            **batch_totals(batch.entries).told(),
        }
    )


def _entry(entry: Entry | IatEntry) -> Iterator[str]:
    if entry.transaction_code not in TRANSACTION_CODES:
        raise RecordRefused(f"the rules know no transaction code {entry.transaction_code}")
    values = {
        **_values(entry),
        "check_digit": check_digit(entry.rdfi),
        "has_addenda": 1 if entry.addenda or entry.verdict else 0,
    }
    yield (IAT_ENTRY if isinstance(entry, IatEntry) else ENTRY).write(values)
    for one in entry.addenda:
        yield ADDENDA.write(_values(one))
    if entry.verdict is not None:
        yield _layout(entry.verdict).write(_values(entry.verdict))


def _layout(verdict: Verdict) -> Layout:
    match verdict:
        case DishonoredReturn():
            return DISHONORED
        case ContestedReturn():
            return CONTESTED
        case Change():
            return CHANGE
        case RefusedChange():
            return REFUSED_CHANGE
    return RETURN if verdict.original_amount is None else IAT_RETURN


def _values(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the records
    return {each.name: getattr(record, each.name) for each in fields(record)}
