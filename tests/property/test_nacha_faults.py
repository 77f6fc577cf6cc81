"""A fault is found, named by its place, and told without an account number."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashier_nacha import FileRefused, RecordRefused, parse, write
from cashier_nacha.banking_days import add_banking_days, holidays, is_banking_day
from cashier_nacha.codes import RETURN_CODES
from cashier_nacha.faults import shape
from cashier_nacha.records import (
    Batch,
    BatchHeader,
    Entry,
    File,
    FileHeader,
)
from cashier_nacha.routing import check_digit, is_routing


def digits(width: int):
    return st.text("0123456789", min_size=width, max_size=width)


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
