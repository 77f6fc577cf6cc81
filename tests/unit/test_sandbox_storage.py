"""The ledger file: append-only, torn at most at its end; the accounts file: strict."""

import pytest

from cashier_sandbox.accounts import AccountsInvalid, read_accounts
from cashier_sandbox.domain.entry import Draft, Kind, placed
from cashier_sandbox.flows.ledger import Ledger
from cashier_sandbox.flows.refusals import Refused
from cashier_sandbox.storage.ledger_file import LedgerDamaged, LedgerFile


def closed(key, seq=1):
    return placed(
        Draft(account="one", kind=Kind.KEY_CLOSED, id=key, key=key), seq=seq, at="2026-01-01"
    )


@pytest.mark.parametrize("fsync", [False, True])
def test_what_was_appended_is_read_again(tmp_path, fsync):
    path = tmp_path / "new" / "ledger.jsonl"
    entries = [closed("a"), closed("b", 2)]
    file = LedgerFile(path, fsync=fsync)
    for entry in entries:
        file.append(entry.as_dict())
    file.close()

    assert entries == LedgerFile(path, fsync=fsync).read()


def test_a_torn_last_line_is_cut_wherever_it_tore(tmp_path):
    path = tmp_path / "ledger.jsonl"
    file = LedgerFile(path, fsync=False)
    file.append(closed("a").as_dict())
    whole = path.read_bytes()
    file.append(closed("b", 2).as_dict())
    both = path.read_bytes()

    for length in range(len(whole), len(both)):
        path.write_bytes(both[:length])
        again = LedgerFile(path, fsync=False)
        assert [closed("a")] == again.read()
        again.append(closed("c", 2).as_dict())
        assert [closed("a"), closed("c", 2)] == again.read()


@pytest.mark.parametrize(
    "content", [b"\n", b"nonsense\n", b'{"seq":1}\n', b"[]\n", b"{}\n{}\n", b'"x"\n']
)
def test_damage_that_no_crash_makes_is_refused(tmp_path, content):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content)

    with pytest.raises(LedgerDamaged, match="line 1 of"):
        LedgerFile(path, fsync=False).read()


def test_a_missing_line_is_noticed(tmp_path):
    path = tmp_path / "ledger.jsonl"
    file = LedgerFile(path, fsync=False)
    file.append(closed("a").as_dict())
    file.append(closed("c", 3).as_dict())

    with pytest.raises(LedgerDamaged, match="has seq 3"):
        file.read()


def test_a_full_disk_means_that_nothing_happened():
    class Full:
        def append(self, _entry):
            raise OSError("no space left")

        def clear(self):
            pass

    ledger = Ledger(Full(), [], lambda: "2026-01-01")

    with pytest.raises(Refused, match="nothing was done"):
        ledger.record(Draft(account="one", kind=Kind.KEY_CLOSED, id="k", key="k"))
    assert [] == ledger.entries
    assert not ledger.books["one"].closed


GOOD = "{name: one, port: 0, api_key: 'test:12345678', currencies: [EUR]}"


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([], "accounts"),
        ([GOOD, GOOD], "name one is given to two"),
        ([GOOD.replace("test:12345678", "12345678")], "must be env:"),
        ([GOOD.replace("test:12345678", "env:NOT_SET_ANYWHERE")], "at least 8"),
        ([GOOD.replace("test:12345678", "file:/nowhere")], "/nowhere cannot be read"),
        ([GOOD.replace("EUR", "eur")], "currencies"),
        ([GOOD.replace("}", ", settlement_format: pdf}")], "stripe_balance_transactions"),
        ([GOOD.replace("}", ", fees: {percent_bps: 2.9}}")], "percent_bps"),
        ([GOOD.replace("}", ", surprise: 1}")], "surprise"),
    ],
)
def test_an_accounts_file_is_refused_in_a_sentence(tmp_path, rows, complaint):
    path = tmp_path / "accounts.yaml"
    path.write_text("accounts:\n" + "".join(f"  - {row}\n" for row in rows))

    with pytest.raises(AccountsInvalid, match=complaint):
        read_accounts(path)


def test_the_accounts_that_ship_are_good():
    assert [*range(7411, 7420), 7431] == [account.port for account in read_accounts(None)]
