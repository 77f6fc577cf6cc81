"""What the bank adapter writes and reads, without a bank."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cashier_common.money import Money
from cashier_gateway.clients.bank.file import write_file
from cashier_gateway.clients.bank.reports import notice_of, read_returns
from cashier_gateway.clients.declines import load_codes
from cashier_gateway.domain.account import AchTerms
from cashier_gateway.domain.ach import (
    REFERENCE_CHARS,
    AchEntry,
    EntryState,
    end_to_end_id,
    entry_reference,
    parse_token,
)
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.flows.ach_ports import Numbers, ReportRefused
from cashier_nacha import parse
from cashier_nacha.codes import RETURN_CODES
from tests.architecture.repository import ROOT

SAMPLES = ROOT.parent / "shared/data/settlements/nacha"
TERMS = AchTerms(
    odfi_routing="121042882",
    immediate_destination="061000146",
    company_id="1234567890",
    company_name="CASHIER",
)
AT = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)  # the day before Thanksgiving
CODES = load_codes("bank")


def an_entry(**changes) -> AchEntry:
    entry = AchEntry(
        merchant="acme-games",
        operation="payments/pay_abc/operations/1",
        account="bank",
        kind=Kind.AUTHORIZE,
        reference="ch_abcdefghijkl",
        token="021000021.C.bt0123456789abcde",
        amount_minor=1_250,
    )
    return replace(entry, **changes)


def test_a_file_is_effective_on_the_next_banking_day_and_its_id_follows_from_its_bytes():
    entries = [an_entry(), an_entry(reference="po_abcdefghijkl", kind=Kind.PAYOUT)]

    name, content, traces = write_file(entries, Numbers(3, 41), TERMS, account="bank", at=AT)
    again, _, _ = write_file(entries, Numbers(3, 41), TERMS, account="bank", at=AT)
    other, _, _ = write_file(entries[:1], Numbers(3, 41), TERMS, account="bank", at=AT)

    file = parse(content)
    assert {"2026-11-27"} == {str(batch.header.effective_on) for batch in file.batches}
    assert ["121042880000041", "121042880000042"] == list(traces)
    assert traces == [entry.trace for entry in file.entries]
    assert name == again != other


@pytest.mark.parametrize("code", [c for c in RETURN_CODES.values() if c.code < "R61"])
def test_every_return_has_a_meaning_of_ours(code):
    event, decline = CODES.declines.read(operation="authorize", code=code.code, advice="")

    assert decline.meaning != "UNRECOGNISED"
    assert Event.DECLINE_HARD is event, "days later no other rail is tried by itself"


@pytest.mark.parametrize(
    ("state", "kinds", "takes_from"),
    [
        (EntryState.FILED, (Kind.AUTHORIZE,), ()),
        (EntryState.SETTLED, (), (Kind.AUTHORIZE,)),
    ],
)
def test_a_return_ends_what_waits_and_takes_back_what_settled(state, kinds, takes_from):
    if not SAMPLES.is_dir():
        pytest.skip("the folder of sample files is not beside the checkout")
    [line] = read_returns((SAMPLES / "issue1620_return.ach").read_bytes())
    entry = an_entry(state=state, trace=line.trace, amount_minor=1)

    notice = notice_of(line, entry, CODES, source="report")

    assert (kinds, takes_from) == (notice.kinds, notice.takes_from)
    assert ("062000010000001", Money(1, "USD"), "R03") == (
        line.trace,
        notice.amount,
        notice.decline.code,
    )
    assert entry.reference == notice.references[0] == notice.reversal_reference


def test_corrected_data_is_in_no_line():
    if not SAMPLES.is_dir():
        pytest.skip("the folder of sample files is not beside the checkout")
    [line] = read_returns((SAMPLES / "cor-read.ach").read_bytes())

    assert "1918171614" not in repr(line)
    assert "notification of change C01" in line.detail


def test_a_forward_file_is_no_file_of_returns():
    _, content, _ = write_file([an_entry()], Numbers(1, 1), TERMS, account="bank", at=AT)

    with pytest.raises(ReportRefused, match="no entry of the file is a return"):
        read_returns(content)


def test_our_names_fit_their_fields_and_are_the_same_for_the_same_call():
    names = {entry_reference(kind, "a-key") for kind in (Kind.AUTHORIZE, Kind.REFUND, Kind.PAYOUT)}

    assert 3 == len(names)
    assert {REFERENCE_CHARS} == {len(name) for name in names}
    assert len(end_to_end_id("a-key")) <= 35
    assert end_to_end_id("a-key") == end_to_end_id("a-key") != end_to_end_id("b-key")


@pytest.mark.parametrize(
    "text",
    ["", "tok_ok", "021000021.X.bt1", "021000021.C.", "02100002.C.bt1", "021000021.C." + "x" * 18],
)
def test_what_is_no_bank_token_is_found(text):
    assert None is parse_token(text)
