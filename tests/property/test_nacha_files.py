"""Any file that can be written is read as the same; whatever else comes is refused by name."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_nacha import FileRefused, parse, write
from cashier_nacha.codes import CHANGE_CODES, RETURN_CODES
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
