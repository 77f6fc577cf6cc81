"""Any file that can be written is read as the same; whatever else comes is refused by name."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_nacha import FileRefused, RecordRefused, parse, write
from cashier_nacha.banking_days import add_banking_days, holidays, is_banking_day
from cashier_nacha.codes import CHANGE_CODES, RETURN_CODES
from cashier_nacha.faults import shape
from cashier_nacha.records import (
    Addenda,
    Batch,
    BatchHeader,
    Change,
    ContestedReturn,
    DishonoredReturn,
    Entry,
    File,
    FileHeader,
    IatBatchHeader,
    IatEntry,
    RefusedChange,
    Return,
)
from cashier_nacha.routing import check_digit, is_routing
from cashier_nacha.transaction_codes import TRANSACTION_CODES, Purpose

PRINTABLE = "".join(map(chr, range(32, 127)))


def text(most: int, least: int = 0):
    letters = st.text(PRINTABLE, min_size=least, max_size=most)
    return letters.map(str.strip).filter(lambda found: len(found) >= least)


def digits(width: int):
    return st.text("0123456789", min_size=width, max_size=width)


days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
ALL_RETURNS = tuple(RETURN_CODES.values())
PLAIN = [code.code for code in ALL_RETURNS if not (code.is_dishonored or code.is_contested)]
DISHONORED = [code.code for code in ALL_RETURNS if code.is_dishonored]
CONTESTED = [code.code for code in ALL_RETURNS if code.is_contested]
CHANGES = [code.code for code in CHANGE_CODES.values() if not code.refuses]
REFUSALS = [code.code for code in CHANGE_CODES.values() if code.refuses]
COMMON = {"original_trace": digits(15), "original_rdfi": digits(8), "trace": digits(15)}
returns = st.builds(
    Return,
    code=st.sampled_from(PLAIN),
    text=text(44),
    date_of_death=st.none() | days,
    original_amount=st.none(),
    **COMMON,
)
iat_returns = st.builds(
    Return,
    code=st.sampled_from(PLAIN),
    text=text(34),
    date_of_death=st.none(),
    original_amount=st.integers(0, 10**10 - 1),
    **COMMON,
)
others = st.one_of(
    st.builds(
        DishonoredReturn,
        code=st.sampled_from(DISHONORED),
        return_trace=digits(15),
        return_code=digits(2),
        return_settlement_day=digits(3),
        text=text(21),
        **COMMON,
    ),
    st.builds(
        ContestedReturn,
        code=st.sampled_from(CONTESTED),
        return_trace=digits(15),
        return_code=digits(2),
        dishonored_trace=digits(15),
        dishonored_code=digits(2),
        returned_on=days,
        **COMMON,
    ),
    st.builds(Change, code=st.sampled_from(CHANGES), corrected=text(29), **COMMON),
    st.builds(
        RefusedChange,
        code=st.sampled_from(REFUSALS),
        corrected=text(29),
        change_code=st.sampled_from(CHANGES),
        change_sequence=digits(7),
        **COMMON,
    ),
)
payment = st.builds(
    Addenda, type_code=st.just("05"), text=st.text(PRINTABLE, max_size=91).map(str.rstrip)
)
party = st.text(PRINTABLE, max_size=91).map(str.rstrip)


@st.composite
def entries(draw, odfi: str):
    code = draw(st.sampled_from(sorted(TRANSACTION_CODES)))
    carries = TRANSACTION_CODES[code].purpose in {Purpose.LIVE, Purpose.RETURN}
    verdict = draw(st.none() | returns | others)
    return Entry(
        transaction_code=code,
        rdfi=draw(digits(8)),
        account=draw(text(17, least=1)),
        amount=draw(st.integers(0, 10**8)) if carries else 0,
        individual_id=draw(text(15)),
        individual_name=draw(text(22)),
        discretionary=draw(text(2)),
        trace=odfi + draw(digits(7)),
        addenda=tuple(draw(st.lists(payment, max_size=2))),
        verdict=verdict,
    )


@st.composite
def iat_entries(draw, odfi: str):
    kinds = [str(kind) for kind in range(10, 17)] + draw(
        st.sampled_from([[], ["17"], ["17", "18"]])
    )
    return IatEntry(
        transaction_code="27",
        rdfi=draw(digits(8)),
        account=draw(text(35, least=1)),
        amount=draw(st.integers(0, 10**8)),
        trace=odfi + draw(digits(7)),
        addenda_count=len(kinds),
        addenda=tuple(Addenda(kind, draw(party)) for kind in kinds),
        verdict=draw(st.none() | iat_returns | others),
    )


@st.composite
def batches(draw):
    odfi, number = draw(digits(8)), draw(st.integers(0, 9_999_999))
    if draw(st.booleans()):
        header = BatchHeader(
            service_class="200",
            company_name=draw(text(16)),
            company_id=draw(text(10)),
            entry_class=draw(st.sampled_from(["PPD", "CCD", "WEB", "COR", "POS"])),
            description=draw(text(10)),
            odfi=odfi,
            number=number,
            effective_on=draw(st.none() | days),
            settlement_day=draw(st.just("") | digits(3)),
        )
        made = entries(odfi)
    else:
        header = IatBatchHeader(
            service_class="200",
            company_id=draw(text(10)),
            description=draw(text(10)),
            odfi=odfi,
            number=number,
            destination_country="US",
            origin_currency="CAD",
            destination_currency="USD",
            exchange_indicator="FF",
        )
        made = iat_entries(odfi)
    return Batch(header, tuple(draw(st.lists(made, min_size=1, max_size=3))))


files = st.builds(
    File,
    header=st.builds(
        FileHeader,
        destination=text(10),
        origin=text(10),
        created_on=st.none() | days,
        created_at=st.just("") | digits(4),
        modifier=st.sampled_from("ABZ9"),
        destination_name=text(23),
        origin_name=text(23),
        reference_code=text(8),
    ),
    batches=st.lists(batches(), max_size=2).map(tuple),
)


def a_file() -> File:
    header = BatchHeader(
        service_class="225", company_name="CASHIER", company_id="1234567890", entry_class="WEB",
        description="PAYMENT", odfi="12104288", number=1,
    )  # fmt: skip
    entry = Entry(
        transaction_code="27", rdfi="23138010", account="7445678990123", amount=1_250,
        individual_name="WADE ARNOLD", trace="121042880000001",
    )  # fmt: skip
    top = FileHeader(destination="231380104", origin="121042882", created_on=date(2026, 11, 2))
    return File(top, (Batch(header, (entry,)),))


@settings(max_examples=25)
@given(files)
def test_what_is_written_is_read_as_the_same_file(file):
    content = write(file)

    assert file == parse(content)
    assert content == write(parse(content))


@settings(max_examples=40)
@given(files, st.data())
def test_a_mutated_file_is_read_or_refused_and_never_breaks_the_reader(file, data):
    mutate(file, data)


@pytest.mark.long
@settings(max_examples=600, deadline=None)
@given(files, st.data())
def test_hundreds_of_mutated_files_never_break_the_reader(file, data):
    mutate(file, data)


def mutate(file, data):
    content = bytearray(write(file))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["change", "cut", "double", "drop"])):
            case "change":
                content[place] = data.draw(st.integers(0, 255))
            case "cut":
                content = content[: place + 1]
            case "double":
                content[place:place] = content[place : place + 95]
            case "drop":
                del content[place : place + data.draw(st.sampled_from([1, 95]))]
        if not content:
            break

    try:
        read = parse(bytes(content))
    except FileRefused:
        return

    assert read == parse(write(read))


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_name(content):
    with pytest.raises(FileRefused):
        parse(content)


@settings(max_examples=30)
@given(st.integers(0, 9), st.integers(0, 18))
def test_a_digit_changed_in_counts_sums_or_routing_is_found(digit, place):
    """Each digit of the entry's bank, its check digit and its amount is covered by a check."""
    lines = write(a_file()).decode().split("\n")
    covered = [*range(3, 12), *range(29, 39)][place]
    entry = lines[2]
    if entry[covered] == str(digit):
        return
    lines[2] = f"{entry[:covered]}{digit}{entry[covered + 1 :]}"

    with pytest.raises(FileRefused):
        parse("\n".join(lines).encode())


@pytest.mark.parametrize(
    ("line", "columns", "old", "new", "field"),
    [
        (3, (12, 12), "4", "5", "check_digit"),
        (3, (2, 3), "27", "25", "transaction_code"),
        (3, (2, 3), "27", "22", "transaction_code"),
        (3, (30, 39), "0000001250", "00000012x0", "amount"),
        (3, (79, 79), "0", "1", "has_addenda"),
        (3, (80, 94), "121042880000001", "231380100000001", "trace"),
        (4, (5, 10), "000001", "000002", "entry_count"),
        (4, (11, 20), "0023138010", "0023138011", "entry_hash"),
        (4, (21, 32), "000000001250", "000000001251", "debits"),
        (4, (80, 87), "12104288", "12104289", "odfi"),
        (5, (2, 7), "000001", "000002", "batch_count"),
        (5, (8, 13), "000001", "000002", "block_count"),
        (5, (44, 55), "000000000000", "000000000001", "credits"),
        (1, (24, 29), "261102", "261302", "created_on"),
        (2, (51, 53), "WEB", "ADV", "entry_class"),
    ],
)
def test_a_fault_names_its_line_columns_and_field(line, columns, old, new, field):
    lines = write(a_file()).decode().split("\n")
    first, last = columns
    text = lines[line - 1]
    assert old == text[first - 1 : last]
    lines[line - 1] = text[: first - 1] + new + text[last:]

    with pytest.raises(FileRefused) as refused:
        parse("\n".join(lines).encode())

    fault = refused.value
    assert (line, columns, field) == (fault.line, fault.columns, fault.field)


def test_no_sentence_holds_an_account_number_or_a_name():
    """Shifted by one column, every field holds what belongs to its neighbour."""
    lines = write(a_file()).decode().split("\n")
    told = []
    for shift in range(1, 90):
        entry = lines[2]
        moved = f"6{' ' * shift}{entry[1:]}"[:94]
        with pytest.raises(FileRefused) as refused:
            parse("\n".join([*lines[:2], moved, *lines[3:]]).encode())
        told.append(str(refused.value))

    assert [] == [one for one in told if "744567" in one or "WADE" in one]
    assert "999-AA ?" == shape("123-ab é")


def test_what_does_not_fit_is_not_cut_short():
    file = a_file()
    [batch] = file.batches
    longer = replace(batch.entries[0], individual_name="X" * 23)

    with pytest.raises(RecordRefused, match=r"entry\.individual_name has 23 characters, 22 fit"):
        write(replace(file, batches=(replace(batch, entries=(longer,)),)))


@settings(max_examples=40)
@given(digits(8), st.integers(0, 8), digits(1))
def test_a_check_digit_finds_one_mistyped_digit(rdfi, place, digit):
    routing = rdfi + check_digit(rdfi)
    mistyped = routing[:place] + digit + routing[place + 1 :]

    assert (mistyped == routing) == is_routing(mistyped)


@settings(max_examples=40)
@given(st.dates(date(2021, 1, 1), date(2060, 12, 31)), st.integers(0, 15))
def test_banking_days_are_counted_one_by_one(day, count):
    end = add_banking_days(day, count)

    start = add_banking_days(day, 0)
    between = [start + timedelta(days=n) for n in range(1, (end - start).days + 1)]
    assert count == sum(is_banking_day(each) for each in between)
    assert is_banking_day(end)


def test_the_holidays_of_a_year_are_the_federal_reserves():
    assert {
        date(2027, 1, 1), date(2027, 1, 18), date(2027, 2, 15), date(2027, 5, 31),
        date(2027, 6, 19), date(2027, 7, 5), date(2027, 9, 6), date(2027, 10, 11),
        date(2027, 11, 11), date(2027, 11, 25), date(2027, 12, 25),
    } == holidays(2027)  # fmt: skip


def test_only_what_lacked_funds_may_be_sent_again():
    again = {code.code: code.represent for code in RETURN_CODES.values() if code.represent}

    assert {"R01": 2, "R09": 2} == again
    assert {"R05", "R07", "R10", "R11"} <= {
        code.code for code in RETURN_CODES.values() if code.window_days == 60
    }
