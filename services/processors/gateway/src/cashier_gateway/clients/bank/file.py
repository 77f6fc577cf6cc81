"""Entries to a file for the clearing house, as the bank expects it of us."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

from cashier_gateway.domain.account import AchTerms
from cashier_gateway.domain.ach import AchEntry, parse_token
from cashier_gateway.flows.ach_ports import Numbers
from cashier_nacha import write
from cashier_nacha.banking_days import add_banking_days
from cashier_nacha.records import Addenda, Batch, BatchHeader, Entry, File, FileHeader
from cashier_nacha.routing import check_digit

TRACES: Final = 10_000_000
_MODIFIERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# Who it is stands in the bank's own records: the token leads there.
NAME: Final = "ON FILE"
_PAYMENT_CHARS: Final = 80
_CODES: Final = {  # debit or credit, savings or checking
    (True, False): "27",
    (True, True): "37",
    (False, False): "22",
    (False, True): "32",
}


def write_file(
    entries: Sequence[AchEntry], numbers: Numbers, terms: AchTerms, *, account: str, at: datetime
) -> tuple[str, bytes, Sequence[str]]:
    """The file's id, its bytes, and the trace number of each entry in their order.

    Effective on the next banking day, so that it settles then.
    """
    odfi = terms.odfi_routing[:8]
    traces = [f"{odfi}{(numbers.trace + place) % TRACES:07d}" for place in range(len(entries))]
    day = add_banking_days(at.date(), 1)
    header = FileHeader(
        destination=terms.immediate_destination,
        origin=terms.odfi_routing,
        created_on=at.date(),
        created_at=at.strftime("%H%M"),
        modifier=_MODIFIERS[numbers.file % len(_MODIFIERS)],
        destination_name=terms.destination_name,
        origin_name=terms.company_name,
        reference_code=str(numbers.file)[-8:],
    )
    content = write(File(header, tuple(_batches(entries, traces, terms, odfi, day))))
    digest = hashlib.sha256(content).hexdigest()
    return f"{account[:32]}-{numbers.file}-{_letters(digest[:16])}", content, traces


def _batches(
    entries: Sequence[AchEntry], traces: Sequence[str], terms: AchTerms, odfi: str, day: date
) -> Iterator[Batch]:
    """Debits in one batch and credits in the other, since their service classes differ."""
    number = 0
    for is_debit, service_class in ((True, "225"), (False, "220")):
        chosen = [
            _entry(entry, trace)
            for entry, trace in zip(entries, traces, strict=True)
            if entry.is_debit is is_debit
        ]
        if not chosen:
            continue
        number += 1
        yield Batch(
            BatchHeader(
                service_class=service_class,
                company_name=terms.company_name[:16].rstrip(),
                company_id=terms.company_id,
                entry_class=terms.entry_class,
                description=terms.description,
                odfi=odfi,
                number=number,
                effective_on=day,
            ),
            tuple(chosen),
        )


def _entry(entry: AchEntry, trace: str) -> Entry:
    token = parse_token(entry.token)
    if token is None:
        raise ValueError(f"the entry of {entry.operation} has no bank token")
    words = f"{entry.operation} {entry.returns}".strip()
    return Entry(
        transaction_code=_CODES[entry.is_debit, token.is_savings],
        rdfi=token.routing[:8],
        account=token.account,
        amount=entry.amount_minor,
        individual_id=entry.reference,
        individual_name=NAME,
        trace=trace,
        addenda=(Addenda("05", f"{words[:_PAYMENT_CHARS]:<80}0001{trace[-7:]}"),),
    )


def is_routable(text: str) -> bool:
    """Whether a token can be written into a file."""
    token = parse_token(text)
    return token is not None and check_digit(token.routing[:8]) == token.routing[8]


def _letters(digits: str) -> str:
    """Hexadecimal digits as letters: a run of digits passes for a card number now and then."""
    return digits.translate(str.maketrans("0123456789", "ghijklmnop"))
