"""Files of disputes: the real ones are read, and whatever is wrong is said with its place."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cashier_common.money import Money
from cashier_gateway.__main__ import main
from cashier_gateway.clients.dispute_files.read import read_disputes
from cashier_gateway.clients.dispute_files.table import FIELD_MAX_CHARS, FileRefused
from cashier_gateway.domain.notice import DisputeStage, DisputeState

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "settlements" / "disputes"
HEAD = "id,amount,charge_id,created,currency,evidence_details_due_by,reason,status,_fivetran_synced"
ROW = "du_1,1234,ch_1,2026-01-02 03:04:05,usd,2026-02-01 23:59:59 UTC,general,lost,2026-02-03"
JPM = (
    "ProcessingEntityId=1,Frequency=adhoc\n"
    "ProcessingEntityId=1,ReportTypeName=DisputeDetails\n"
    '"Acquirer Reference Number","Merchant Order Number","Dispute Transaction Sequence Number",'
    '"Activity Timestamp","Dispute Category Code","Financial Non-Financial Code",'
    '"Post Deposit Event Dispute Type Code","Dispute Usage Code",'
    '"Issuer Dispute Presentment Currency Amount","Presentment Currency Code",'
    '"Dispute Due Timestamp","Payment Brand Dispute Reason Code","Transaction Detail Identifier"\n'
)
JPM_ROW = (
    "55432863263204442746072,order-1,659694378,2023-10-01T02:00:00.000Z,RECD,FIN,CB,1,1.50,USD,"
    "2023-11-08T05:00:00.000Z,53,8830470732\n"
)


def sample(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the real files are not here: ../shared/data")
    return path.read_bytes()


def stripe(**changes):
    row = dict(zip(HEAD.split(","), ROW.split(","), strict=True)) | changes
    return f"{HEAD}\n{','.join(row.values())}\n".encode()


def refusal(content, **more):
    with pytest.raises(FileRefused) as refused:
        read_disputes(content, **more)
    return str(refused.value)


def test_every_row_of_stripes_export_is_a_notice():
    notices = read_disputes(sample("stripe_dispute_data.csv"))

    states = [notice.dispute.state for notice in notices]
    assert (12, 3, 7) == (
        len(notices), states.count(DisputeState.WON), states.count(DisputeState.LOST),
    )  # fmt: skip
    (inquiry,) = (n for n in notices if n.dispute.stage is DisputeStage.INQUIRY)
    assert (Money(700, "USD"), False) == (inquiry.dispute.amount, inquiry.dispute.funds_withdrawn)
    assert all(notice.is_filed and notice.references for notice in notices)


def test_a_row_that_j_p_morgan_repeats_is_one_notice():
    (notice,) = read_disputes(sample("jpm_DisputeDetails.csv"))

    news = notice.dispute
    assert ("659694378", "55432863263204442746072", "53", Money(150, "USD"), True) == (
        news.reference, news.arn, news.reason_code, news.amount, news.funds_withdrawn,
    )  # fmt: skip
    assert datetime(2023, 11, 8, 5, tzinfo=UTC) == news.evidence_due_at
    assert datetime(2023, 10, 1, 2, tzinfo=UTC) == notice.occurred_at


def test_a_row_is_as_old_as_its_export_says():
    (notice,) = read_disputes(stripe(_fivetran_synced="2026-03-04 05:06:07"))

    assert datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC) == notice.occurred_at


@pytest.mark.parametrize(
    ("changes", "place", "problem"),
    [
        ({"id": "tr_1"}, "column 'id'", "no dispute"),
        ({"amount": "12.34"}, "column 'amount'", "minor units"),
        ({"amount": "-1"}, "column 'amount'", "minor units"),
        ({"amount": "1e9"}, "column 'amount'", "minor units"),
        ({"currency": "zzz"}, "column 'amount'", "ZZZ"),
        ({"status": "settled"}, "column 'status'", "known are"),
        ({"created": "yesterday"}, "column 'created'", "no time"),
        ({"created": ""}, "column 'created'", "empty"),
        ({"charge_id": "=cmd()"}, "column 'charge_id'", "no charge"),
        ({"reason": "4242 4242 4242 4242"}, "column 'reason'", "card number"),
        ({"reason": "a\x1b[2Jb"}, "column 'reason'", "printed"),
        ({"_fivetran_synced": ""}, "line 2", "--told-at"),
    ],
)
def test_a_cell_that_cannot_be_read_refuses_the_file_with_its_place(changes, place, problem):
    told = refusal(stripe(**changes))

    assert "line 2" in told
    assert place in told
    assert problem in told


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"\n\n \n", "empty"),
        (b"a,b\n1,2\n", "neither"),
        (b"id,status\x00\n", "zero byte"),
        (b"id,status\n\xff\n", "line 2, is no UTF-8"),
        (b"id,status,id\n", "more than once"),
        (b"id,status\n", "has no column amount"),
        (f"{HEAD}\n{ROW},more\n".encode(), "line 2, has 10 columns where the header has 9"),
        (f'{HEAD}\n"open\n'.encode(), "is no CSV"),
        (f"{HEAD}\n{'x' * (FIELD_MAX_CHARS + 1)}\n".encode(), "is no CSV"),
        (f"{HEAD}\n{ROW}\n{ROW.replace('2026-02-01', '2026-02-02')}\n".encode(), "twice"),
        (b"ProcessingEntityId=1\nProcessingEntityId=1,ReportTypeName=Fees\n", "DisputeDetails"),
        (b"ProcessingEntityId=1\nProcessingEntityId=1,ReportTypeName=DisputeDetails\n", "ends"),
        ((JPM + JPM_ROW + "ProcessingEntityId=1\n" + JPM_ROW).encode(), "behind the trailer"),
        ((JPM + JPM_ROW.replace("55432863263204442746072", "5.54E+22")).encode(), "spreadsheet"),
        ((JPM + JPM_ROW.replace("RECD", "GONE")).encode(), "line 4, column 'Dispute Category"),
        ((JPM + JPM_ROW.replace("1.50", "0.00E+00")).encode(), "no amount"),
        ((JPM + JPM_ROW.replace("1.50", "1.505")).encode(), "finer than USD"),
        ((JPM + JPM_ROW.replace("FIN", "MAYBE")).encode(), "known are FIN, NON"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(content, problem):
    assert problem in refusal(content)


@pytest.mark.parametrize(
    ("old", "new", "stage", "withdrawn"),
    [
        ("FIN,CB,1", "FIN,CB,2", DisputeStage.SECOND_CHARGEBACK, True),
        ("FIN,CB,1", "NON,CB,1", DisputeStage.CHARGEBACK, False),
        ("FIN,CB,1", "NON,RR,", DisputeStage.INQUIRY, False),
    ],
)
def test_j_p_morgans_codes_say_how_far_it_has_gone(old, new, stage, withdrawn):
    (notice,) = read_disputes((JPM + JPM_ROW.replace(old, new)).encode())

    assert (stage, withdrawn) == (notice.dispute.stage, notice.dispute.funds_withdrawn)


def test_the_inventory_says_nothing_new():
    assert [] == read_disputes((JPM + JPM_ROW.replace("RECD", "ENDINV")).encode())


def test_the_command_says_what_is_wrong_and_imports_nothing(tmp_path):
    file = tmp_path / "disputes.csv"
    file.write_bytes(stripe(amount="12.34"))

    done = CliRunner().invoke(main, ["disputes", "import", str(file), "--account", "stripe-us"])

    assert done.exit_code != 0
    assert "disputes.csv: line 2, column 'amount': is no count of minor units" in done.stderr
    assert "nothing was imported" in done.stderr
