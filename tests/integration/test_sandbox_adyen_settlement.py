"""Adyen's settlement details report says what the ledger says, to the minor unit."""

import csv
import io
from decimal import Decimal

from tests.support.adyen_library import (
    ACCOUNT,
    Library,
    base_url,
    charge_id,
    euros,
    held,
    ledger,
    running_adyen,
)

DECIMALS = {"EUR": 2, "JPY": 0, "KWD": 3, "CLP": 0}


async def traffic(sandbox):
    adyen = Library(base_url(sandbox))
    _, first = await adyen.pay("s1")
    await adyen.pay("s2", amount={"value": 1003, "currency": "JPY"})
    await adyen.pay("s3", amount={"value": 10_005, "currency": "KWD"})
    await adyen.pay("s4", amount={"value": 200_000, "currency": "CLP"})
    _, second = await adyen.pay("s5", **held("s5"))
    await adyen.modify("captures", second["pspReference"], "sc1", amount=euros(500))
    await adyen.modify("captures", second["pspReference"], "sc2", amount=euros(300))
    await adyen.modify("refunds", first["pspReference"], "sr", amount=euros(250))
    await adyen.modify("refunds", first["pspReference"], "sr2", amount=euros(5000))
    await adyen.pay_out("sp")
    await adyen.pay("s6")
    name = await charge_id(sandbox, "ref-s6")
    async with sandbox.control() as control:
        taken = await control.post(f"/control/charges/{name}/chargeback")
        await control.post(f"/control/chargebacks/{taken['id']}/resolve", {"outcome": "win"})
        capture = (await ledger(sandbox, "kind=capture&reference=ref-sc2"))[0]
        await control.post(f"/control/captures/{capture['id']}/fail")
    return first["pspReference"], second["pspReference"]


async def issued(sandbox, **fields):
    async with sandbox.control() as control:
        answer = await control.post(f"/control/accounts/{ACCOUNT}/settlements", fields)
        _, raw, _ = await control.ask(
            "GET", f"/control/accounts/{ACCOUNT}/settlements/{answer['id']}/file"
        )
    return answer, list(csv.DictReader(io.StringIO(raw.decode())))


def net(row):
    amount = Decimal(row["Net Credit (NC)"] or 0) - Decimal(row["Net Debit (NC)"] or 0)
    return int(amount * 10 ** DECIMALS[row["Net Currency"]])


def gross(row):
    amount = Decimal(row["Gross Credit (GC)"] or 0) - Decimal(row["Gross Debit (GC)"] or 0)
    return int(amount * 10 ** DECIMALS[row["Gross Currency"]])


def fee(row):
    columns = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
    charged = sum(Decimal(row[column] or 0) for column in columns)
    return int(charged * 10 ** DECIMALS[row["Net Currency"]])


async def test_the_report_adds_up_to_the_ledger_and_each_line_adds_up_in_itself(tmp_path):
    with running_adyen(tmp_path) as sandbox:
        first, second = await traffic(sandbox)
        entries = await ledger(sandbox, "moved=true")
        answer, rows = await issued(sandbox)
        lines = [row for row in rows if row["Type"] != "MerchantPayout"]

        assert "settlement_detail_report_batch_1.csv" == answer["file_name"]
        assert [entry["moved"] for entry in entries] == [gross(row) for row in lines]
        assert [entry["fee"] for entry in entries] == [fee(row) for row in lines]
        for row in lines:
            assert gross(row) - fee(row) == net(row)
        for currency in DECIMALS:
            assert 0 == sum(net(row) for row in rows if row["Net Currency"] == currency)
        kinds = [row["Type"] for row in lines]
        assert ["Settled"] * 4 + ["Settled", "Settled", "Refunded", "PaidOut", "Settled",
                "Chargeback", "ChargebackReversed", "SettledReversed"] == kinds  # fmt: skip
        refund = lines[6]
        assert (first, "ref-s1", "ref-sr") == (
            refund["Psp Reference"],
            refund["Merchant Reference"],
            refund["Modification Merchant Reference"],
        )
        assert [second, second] == [row["Psp Reference"] for row in lines[4:6]]
        assert {ACCOUNT} == {row["Merchant Account"] for row in rows}


async def test_batches_are_numbered_without_a_gap_and_carry_mistakes_where_asked(tmp_path):
    with running_adyen(tmp_path) as sandbox:
        await traffic(sandbox)
        await issued(sandbox)
        adyen = Library(base_url(sandbox))
        for number in range(3):
            await adyen.pay(f"m{number}")
        answer, rows = await issued(sandbox, anomalies={"omit": 1, "unknown_charge": 1})
        known = {entry["reference"] for entry in await ledger(sandbox, "kind=charge")}

        assert {"2"} == {row["Batch Number"] for row in rows}
        assert {"omit", "unknown_charge"} == {made["kind"] for made in answer["anomalies"]}
        strangers = [row for row in rows if row["Type"] == "Settled"
                     and row["Merchant Reference"] not in known]  # fmt: skip
        assert 1 == len(strangers)
        assert 16 == len(strangers[0]["Psp Reference"])
