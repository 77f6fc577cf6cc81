"""Stripe's balance transactions are read as documented, or refused with a precise reason."""

import inspect
import re
from pathlib import Path

import pytest
import stripe._balance_transaction

from cashier_recon.domain.formats.stripe_balance_transactions import TYPES, parse
from cashier_recon.domain.statement import Broken, Category, Reject
from tests.support.recon_statements import file_of, row

REAL = Path(__file__).parents[3] / "shared/data/settlements/stripe"
REAL_FILE = REAL / "balance_transaction_data.csv"


def one(cells):
    return parse(file_of([cells]), "acct")


def refused(**cells):
    parsed = one(row(1, 100) | cells)
    assert () == parsed.lines
    return parsed.rejected[0]


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the folder of real statements is not here")
def test_the_real_file_is_read_whole():
    parsed = parse(REAL_FILE.read_bytes(), "acct")

    payouts = {}
    for line in parsed.lines:
        if line.payout.endswith("VFKdaB"):
            payouts[line.category] = line.net
    assert (9, ()) == (len(parsed.lines), parsed.rejected)
    assert {"USD": 21_111_559} == parsed.totals
    assert 20_463_341 == sum(line.net for line in parsed.lines)
    assert {Category.BANK: -18_759, Category.CHARGE: 18_759} == payouts
    assert {"charge", "payout"} == {line.type for line in parsed.lines}


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the folder of real statements is not here")
@pytest.mark.parametrize(
    "name", sorted(path.name for path in REAL.glob("*.csv") if path != REAL_FILE)
)
def test_real_files_of_another_layout_are_refused_by_their_columns(name):
    with pytest.raises(Broken, match=r"its header has no column .*amount|no column"):
        parse((REAL / name).read_bytes(), "acct")


def test_the_types_are_those_that_the_providers_own_library_knows():
    source = inspect.getsource(stripe._balance_transaction)
    listed = re.search(
        r"^    type: (?:Union\[)?\s*Literal\[(.*?)\]", source, re.DOTALL | re.MULTILINE
    )

    assert set(re.findall(r'"(\w+)"', listed[1])) == set(TYPES)


def test_columns_are_found_by_name_in_any_order_and_more_may_pass():
    names = ["type", "source", "net", "fee", "extra", "currency", "created", "available_on"]
    content = ",".join([*names, "amount", "id"]) + "\n"
    content += "charge,ch_1,71,29,whatever,usd,2026-01-05 10:00:00,2026-01-07,100,txn_1\n"

    line = parse(content.encode(), "acct").lines[0]

    assert ("txn_1", 100, 29, 71, "USD", "ch_1", "") == (
        line.external_id,
        line.amount,
        line.fee,
        line.net,
        line.asset,
        line.source,
        line.description,
    )


def test_a_byte_order_mark_is_no_part_of_the_first_column():
    assert 1 == len(parse(b"\xef\xbb\xbf" + file_of([row(1, 100)]), "acct").lines)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b" \n \n", "it is empty"),
        ("id,amount".encode("utf-16"), "UTF-16"),
        (b"id,amount\0", "zero byte at offset 9"),
        (b"id,\xff\n", "not UTF-8 at byte 3"),
        (b"id,amount,amount\n", "names amount more than once"),
        (b"hello\n", "no column id, amount"),
        (file_of([row(1, 100)]) + b'"cut off', r"row 3 is not CSV .*cut off"),
        (b"<html></html>", "no column id"),
        (b"id" + b"x" * 9000 + b"\n", "row 1 is not CSV"),
    ],
)
def test_a_file_that_cannot_be_trusted_says_why(content, why):
    with pytest.raises(Broken, match=why):
        parse(content, "acct")


@pytest.mark.parametrize(
    ("cells", "reject", "why"),
    [
        ({"amount": "1e2"}, Reject.LINE_UNPARSEABLE, "amount is '1e2' (scientific notation)"),
        ({"amount": "1.00"}, Reject.LINE_UNPARSEABLE, "must be a count of minor units"),
        ({"amount": "1,000"}, Reject.LINE_UNPARSEABLE, "amount is '1,000'"),
        ({"amount": ""}, Reject.LINE_UNPARSEABLE, "amount is ''"),
        ({"amount": "١٠٠"}, Reject.LINE_UNPARSEABLE, "amount is"),
        ({"amount": "NaN"}, Reject.LINE_UNPARSEABLE, "amount is 'NaN'"),
        ({"amount": str(2**63)}, Reject.LINE_UNPARSEABLE, "more than 64 bits hold"),
        ({"amount": "9" * 5000}, Reject.LINE_UNPARSEABLE, "more than 64 bits hold"),
        ({"net": "72"}, Reject.LINE_UNPARSEABLE, "net is 72, but amount 100 less fee 29 is 71"),
        ({"currency": "dollars"}, Reject.LINE_UNPARSEABLE, "no asset has this code"),
        ({"currency": ""}, Reject.LINE_UNPARSEABLE, "no asset has this code"),
        ({"created": "05/01/2026"}, Reject.LINE_UNPARSEABLE, "created is '05/01/2026'"),
        ({"created": "2026-02-30 00:00:00"}, Reject.LINE_UNPARSEABLE, "2026-02-30"),
        ({"id": ""}, Reject.LINE_UNPARSEABLE, "id is empty"),
        ({"id": "1.03311E+11"}, Reject.IDENTIFIER_CORRUPTED, "id is 1.03311E+11"),
        ({"source": "2.47E+22"}, Reject.IDENTIFIER_CORRUPTED, "source is 2.47E+22"),
        ({"payout_id": "1e5"}, Reject.IDENTIFIER_CORRUPTED, "payout_id is 1e5"),
    ],
)
def test_a_row_that_cannot_be_read_is_kept_with_its_reason(cells, reject, why):
    rejected = refused(**cells)

    assert reject == rejected.reject
    assert why in rejected.detail
    assert rejected.detail.startswith("row 2: ")


def test_the_money_of_a_bad_row_is_known_where_it_can_be_read():
    assert ("EUR", 71) == (refused(source="1e5").asset, refused(source="1e5").net)
    assert (None, None) == (refused(net="?").asset, refused(net="?").net)


def test_a_row_that_was_cut_off_spoils_only_itself():
    content = file_of([row(1, 100), row(2, 100)]).rstrip()[:-30]

    parsed = parse(content, "acct")

    assert ["txn_1_1_charge"] == [line.external_id for line in parsed.lines]
    assert "cells and the header has 13" in parsed.rejected[0].detail


def test_a_type_that_is_in_no_list_keeps_its_money():
    line = one(row(1, 100, type="made_up")).lines[0]

    assert (Category.UNKNOWN, 71) == (line.category, line.net)


def test_an_adjustment_is_a_dispute_only_with_a_disputes_id():
    disputed = one(row(1, -100, type="adjustment", source="dp_1")).lines[0]
    other = one(row(1, -100, type="adjustment", source="adj_1")).lines[0]

    assert (Category.DISPUTE, Category.OTHER) == (disputed.category, other.category)


def test_a_repeated_line_is_a_second_line_whatever_the_order():
    rows = [row(1, 100), row(2, 100), row(1, 100), row(1, 90)]

    forth = parse(file_of(rows), "acct").lines
    back = parse(file_of(rows[::-1]), "acct").lines

    assert 4 == len({line.line_id for line in forth})
    assert {(line.line_id, line.amount) for line in forth} == {
        (line.line_id, line.amount) for line in back
    }
