"""Read one batch: its header, its entries, and a control record that agrees with them."""

from dataclasses import dataclass
from typing import Any, Final

from cashier_nacha.entry import read_entry
from cashier_nacha.faults import FileRefused
from cashier_nacha.layout import Layout
from cashier_nacha.layouts import BATCH_CONTROL, BATCH_HEADER, IAT_BATCH_HEADER
from cashier_nacha.lines import Lines
from cashier_nacha.records import IAT, Batch, BatchHeader, Entry, IatBatchHeader, IatEntry
from cashier_nacha.totals import batch_totals
from cashier_nacha.transaction_codes import SERVICE_CLASSES, TRANSACTION_CODES

# Where every batch header has its entry class.
_CLASS: Final = slice(50, 53)
ENTRY_CLASSES: Final = frozenset(
    {
        "ACK", "ADV", "ARC", "ATX", "BOC", "CCD", "CIE", "COR", "CTX", "DNE", "ENR", "IAT", "MTE",
        "POP", "POS", "PPD", "RCK", "SHR", "TEL", "TRC", "TRX", "WEB", "XCK",
    }
)  # fmt: skip
# Their records have columns of their own, and no originator of payments sends them.
UNREAD_CLASSES: Final = frozenset({"ADV", "ENR", "TRC", "TRX"})


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch header, and where it stood."""

    header: BatchHeader | IatBatchHeader
    line: int


def open_batch(lines: Lines) -> Opened:
    """The header that comes next."""
    number, line = lines.take()
    found = line[_CLASS]
    table: Layout = IAT_BATCH_HEADER if found == IAT else BATCH_HEADER
    values: dict[str, Any] = table.read(line, number)
    if found not in ENTRY_CLASSES:
        raise table.fault("entry_class", "no class of entries that the rules know", number)
    if found in UNREAD_CLASSES:
        raise table.fault("entry_class", f"{found} batches are not read", number)
    if values["service_class"] not in SERVICE_CLASSES:
        raise table.fault("service_class", f"must be one of {', '.join(SERVICE_CLASSES)}", number)
    header = IatBatchHeader(**values) if found == IAT else BatchHeader(**values)
    return Opened(header, number)


def close_batch(opened: Opened, lines: Lines) -> Batch:
    """The batch with its entries, after its control record was compared with them."""
    header = opened.header
    entries: list[Entry | IatEntry] = []
    allowed = SERVICE_CLASSES[header.service_class]
    while lines.next_type() == "6":
        entry, number = read_entry(lines, header)
        if TRANSACTION_CODES[entry.transaction_code].direction not in allowed:
            raise FileRefused(
                f"code {entry.transaction_code} does not fit into a batch of service class "
                f"{header.service_class}",
                line=number, columns=(2, 3), field="transaction_code",
            )  # fmt: skip
        entries.append(entry)
    if lines.next_type() != "8":
        raise FileRefused(
            f"an entry (6) or the batch control (8) of the batch that line {opened.line} opened "
            f"must come here, found {lines.next_shape()}",
            line=min(lines.number + 1, lines.total), columns=(1, 1), field="record_type",
        )  # fmt: skip
    number, line = lines.take()
    values = BATCH_CONTROL.read(line, number)
    _agree(values, header, number)
    for name, found in batch_totals(entries).told().items():
        if values[name] != found:
            raise BATCH_CONTROL.fault(name, f"declared {values[name]}, found {found}", number)
    if not entries:
        raise FileRefused("a batch without entries", line=opened.line)
    return Batch(header, tuple(entries), values["authentication"])


def _agree(control: dict[str, Any], header: BatchHeader | IatBatchHeader, number: int) -> None:
    for name in ("service_class", "company_id", "odfi", "number"):
        # The company is required here and not mandatory: some banks leave it blank.
        if control[name] != getattr(header, name) and (control[name] or name != "company_id"):
            raise BATCH_CONTROL.fault(name, "is not what the batch header says", number)
