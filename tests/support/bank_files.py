"""Files as an originator writes them, for tests of the bank."""

from datetime import date

from cashier_nacha import write
from cashier_nacha.records import Addenda, Batch, BatchHeader, Entry, File, FileHeader

ROUTING = "021000021"


def entry(number: int, token: str, amount: int, *, name: str = "", words: str = "") -> Entry:
    """A debit, or by its name a refund or payout; `token` as the bank gave it."""
    routing, _, account = token.split(".")
    name = name or f"ch_{number:012d}"
    return Entry(
        transaction_code="27" if name.startswith("ch_") else "22",
        rdfi=routing[:8],
        account=account,
        amount=amount,
        individual_id=name,
        individual_name="ON FILE",
        trace=f"12104288{number:07d}",
        addenda=(Addenda("05", f"{words or f'ref-{number}':<80}0001{number:07d}"),),
    )


def file_of(*entries: Entry, modifier: str = "A") -> bytes:
    """One batch of these entries."""
    header = BatchHeader(
        service_class="200", company_name="CASHIER", company_id="1234567890", entry_class="WEB",
        description="PAYMENT", odfi="12104288", number=1, effective_on=date(2026, 11, 23),
    )  # fmt: skip
    top = FileHeader(
        destination="061000146",
        origin="121042882",
        created_on=date(2026, 11, 22),
        modifier=modifier,
    )
    return write(File(top, (Batch(header, entries),)))
