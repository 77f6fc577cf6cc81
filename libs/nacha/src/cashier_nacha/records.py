"""A file as values: header, batches, entries, and what an addenda says of an entry."""

from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

from cashier_nacha.faults import FileRefused
from cashier_nacha.routing import check_digit

IAT: Final = "IAT"


@dataclass(frozen=True, slots=True)
class FileHeader:
    """Who sends the file to whom; `modifier` tells two files of one day apart."""

    destination: str
    origin: str
    created_on: date | None
    created_at: str = ""
    modifier: str = "A"
    destination_name: str = ""
    origin_name: str = ""
    reference_code: str = ""


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """Whose entries these are, of which class (PPD, CCD, WEB, COR …), effective when."""

    service_class: str
    company_name: str
    company_id: str
    entry_class: str
    description: str
    odfi: str
    number: int
    discretionary: str = ""
    descriptive_date: str = ""
    effective_on: date | None = None
    settlement_day: str = ""
    originator_status: str = "1"


@dataclass(frozen=True, slots=True)
class IatBatchHeader:
    """The header of a batch of international entries."""

    service_class: str
    company_id: str
    description: str
    odfi: str
    number: int
    destination_country: str
    origin_currency: str
    destination_currency: str
    exchange_indicator: str = ""
    exchange_reference_indicator: str = ""
    exchange_reference: str = ""
    iat_indicator: str = ""
    entry_class: str = IAT
    effective_on: date | None = None
    settlement_day: str = ""
    originator_status: str = "1"


@dataclass(frozen=True, slots=True)
class Addenda:
    """A record of type 02, 05 or 10 to 18: payment information, parties, remittance."""

    type_code: str
    text: str


@dataclass(frozen=True, slots=True)
class Return:
    """Why the receiving bank sent an entry back; `original_trace` is the entry's own number.

    `original_amount` stands in returns of international entries only.
    """

    code: str
    original_trace: str
    original_rdfi: str
    trace: str
    date_of_death: date | None = None
    text: str = ""
    original_amount: int | None = None


@dataclass(frozen=True, slots=True)
class DishonoredReturn:
    """The originating bank does not accept a return; `return_code` is two digits."""

    code: str
    original_trace: str
    original_rdfi: str
    return_trace: str
    return_code: str
    trace: str
    return_settlement_day: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ContestedReturn:
    """The receiving bank insists on a return that was dishonored."""

    code: str
    original_trace: str
    original_rdfi: str
    return_trace: str
    return_code: str
    dishonored_trace: str
    dishonored_code: str
    trace: str
    returned_on: date | None = None
    original_settlement_day: str = ""
    return_settlement_day: str = ""
    dishonored_settlement_day: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A notification of change: what to write in this customer's next entry.

    `corrected` is personal data: an account number, a name.
    """

    code: str
    original_trace: str
    original_rdfi: str
    corrected: str
    trace: str


@dataclass(frozen=True, slots=True)
class RefusedChange:
    """The originating bank does not accept a notification of change."""

    code: str
    original_trace: str
    original_rdfi: str
    corrected: str
    change_code: str
    change_sequence: str
    trace: str


Verdict: TypeAlias = Return | DishonoredReturn | ContestedReturn | Change | RefusedChange


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement. `account` is personal data; `amount` is cents; `routing` has 9 digits."""

    transaction_code: str
    rdfi: str
    account: str
    amount: int
    individual_name: str
    trace: str
    individual_id: str = ""
    discretionary: str = ""
    addenda: tuple[Addenda, ...] = ()
    verdict: Verdict | None = None

    @property
    def routing(self) -> str:
        """The receiving bank's routing number, check digit and all."""
        return f"{self.rdfi}{check_digit(self.rdfi)}"

    @property
    def records(self) -> int:
        """How many lines it is, as the control records count."""
        return 1 + len(self.addenda) + (self.verdict is not None)


@dataclass(frozen=True, slots=True)
class IatEntry:
    """One international movement; its parties stand in addenda 10 to 16.

    `addenda_count` is what the record says of the original's addenda, not of the verdict's.
    """

    transaction_code: str
    rdfi: str
    account: str
    amount: int
    trace: str
    addenda_count: int
    gateway_screening: str = ""
    secondary_screening: str = ""
    addenda: tuple[Addenda, ...] = ()
    verdict: Verdict | None = None

    @property
    def records(self) -> int:
        """How many lines it is, as the control records count."""
        return 1 + len(self.addenda) + (self.verdict is not None)


@dataclass(frozen=True, slots=True)
class Batch:
    """A header and its entries; `authentication` is the control record's code, mostly empty."""

    header: BatchHeader | IatBatchHeader
    entries: tuple[Entry | IatEntry, ...]
    authentication: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A whole file. `remarks` are the faults that the reader was told to tolerate."""

    header: FileHeader
    batches: tuple[Batch, ...]
    remarks: tuple[FileRefused, ...] = ()

    @property
    def entries(self) -> tuple[Entry | IatEntry, ...]:
        """All entries, in the file's order."""
        return tuple(entry for batch in self.batches for entry in batch.entries)
