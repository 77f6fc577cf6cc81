"""The export that is written for localstripe is the table that Stripe's users download."""

import csv
import io

import pytest

from cashier_mesh.demo.ground import Account
from cashier_mesh.demo.localstripe import COLUMNS, Localstripe, _Taken, table
from cashier_mesh.errors import MeshError

ROW = {
    "id": "txn_1",
    "amount": 1999,
    "available_on": 1_795_000_000,
    "created": 1_795_000_000,
    "currency": "usd",
    "description": None,
    "exchange_rate": 1.0,
    "fee": 0,
    "net": 1999,
    "source": "ch_1",
    "status": "available",
    "type": "charge",
    "object": "balance_transaction",
    "fee_details": [],
}


def test_a_transaction_is_a_row_with_our_operation_as_its_description():
    content = table([_Taken("localstripe-us", ROW, "payments/pay_a/operations/1")])

    (row,) = csv.DictReader(io.StringIO(content.decode()))
    assert list(COLUMNS) == list(row)
    assert "payments/pay_a/operations/1" == row["description"]
    assert ("1999", "0", "1999") == (row["amount"], row["fee"], row["net"])
    assert "2026-11-18 11:06:40" == row["created"]
    assert "" == row["exchange_rate"]


def test_two_accounts_with_one_currency_cannot_share_a_localstripe():
    accounts = [
        Account(name, "stripe", "http://127.0.0.1:1", "sk_x", frozenset({"USD"}))
        for name in ("one", "two")
    ]

    with pytest.raises(MeshError, match="both take USD"):
        Localstripe(accounts)
