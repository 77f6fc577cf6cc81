"""The bank: a file is taken once, its entries settle or come back, instant credits answer."""

from itertools import count

import aiohttp
import pytest

from cashier_nacha import parse
from tests.support.bank_files import ROUTING, entry, file_of
from tests.support.sandbox_process import Client, Sandbox

KEY = "key-of-the-bank"
ACCOUNTS = f"""
accounts:
  - {{name: bank, port: 0, imitates: bank, api_key: "test:{KEY}", currencies: [USD],
     fees: {{fixed_minor: {{USD: 30}}, payout_fixed_minor: {{USD: 45}}}}}}
"""
numbers = count(1)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    running = Sandbox(tmp_path_factory.mktemp("bank"))
    (running.folder / "accounts.yaml").write_text(ACCOUNTS)
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def bank(sandbox):
    async with Client(f"http://127.0.0.1:{sandbox.ports['bank']}", KEY) as client:
        yield client
    async with sandbox.control() as control:
        await control.post("/control/reset")


@pytest.fixture
async def control(sandbox):
    async with sandbox.control() as client:
        yield client


async def token(bank, account_number="000123456"):
    body = {"routing_number": ROUTING, "account_number": account_number}
    return (await bank.post("/v1/bank_tokens", body))["token"]


async def put(bank, name, content):
    status, body, _ = await bank.ask("POST", f"/ach/files/{name}", content)
    return status, body


async def settle(control):
    return (await control.post("/control/accounts/bank/ach/settle"))["told"]


async def moved(control, reference):
    query = f"/control/ledger?account=bank&moved=true&reference={reference}"
    return [line["moved"] for line in (await control.get(query))["entries"]]


async def last_report(bank, kind):
    reports = (await bank.get("/ach/reports?limit=100"))["data"]
    last = [report for report in reports if report["type"] == kind][-1]
    return await bank.get(f"/ach/reports/{last['id']}")


async def test_an_account_number_goes_in_once_and_only_its_token_comes_out(bank):
    body = {"routing_number": ROUTING, "account_number": "000987654"}

    first, again = [await bank.post("/v1/bank_tokens", body) for _ in range(2)]
    wrong, refused, _ = await bank.ask(
        "POST", "/v1/bank_tokens", body | {"routing_number": "1" * 9}
    )

    assert first == again
    assert "000987654" not in first["token"]
    assert (400, "routing_number") == (wrong, refused["error"]["field"])


async def test_an_entry_settles_at_the_next_settlement_time_and_not_before(bank, control):
    number = next(numbers)
    debit = entry(number, await token(bank), 1_250)

    status, file = await put(bank, f"f{number}", file_of(debit))
    before = await moved(control, f"ref-{number}")
    told = await settle(control)

    assert (201, 1, 1_250, "accepted") == (status, file["entries"], file["debits"], file["status"])
    assert ([], 1, [1_250]) == (before, told, await moved(control, f"ref-{number}"))
    assert "settled" == (await bank.get(f"/ach/entries/{debit.trace}"))["status"]
    report = await last_report(bank, "settlement")
    assert [debit.trace] == [line["trace"] for line in report["entries"]]


async def test_a_file_is_taken_once_whatever_its_name(bank):
    number = next(numbers)
    content = file_of(entry(number, await token(bank), 500))
    name = f"f{number}"

    first, _ = await put(bank, name, content)
    same, body = await put(bank, name, content)
    renamed, _ = await put(bank, f"{name}-again", content)
    changed, other = await put(bank, name, file_of(entry(number, await token(bank), 501)))

    assert [201, 409, 409, 409] == [first, same, renamed, changed]
    assert ["duplicate", "idempotency_mismatch"] == [body["error"]["code"], other["error"]["code"]]


@pytest.mark.parametrize(
    ("number_of_account", "code"), [("00077010", "R01"), ("00077030", "R03"), ("00077291", "R29")]
)
async def test_an_account_number_says_what_comes_back_and_when(
    bank, control, number_of_account, code
):
    number, late = next(numbers), number_of_account.endswith("1")
    debit = entry(number, await token(bank, number_of_account), 700)
    await put(bank, f"f{number}", file_of(debit))

    await settle(control)
    if late:
        assert [700] == await moved(control, f"ref-{number}")
        await settle(control)

    [back] = parse(await last_report(bank, "returns")).entries
    assert (code, debit.trace) == (back.verdict.code, back.verdict.original_trace)
    assert (debit.account, 700, debit.individual_id) == (
        back.account,
        back.amount,
        back.individual_id,
    )
    assert ([700, -700] if late else []) == await moved(control, f"ref-{number}")


async def test_a_change_and_a_dishonored_return_are_told_in_a_return_file(bank, control):
    one, other = next(numbers), next(numbers)
    changed = entry(one, await token(bank, "00088010"), 900)
    returned = entry(other, await token(bank, "00077020"), 901)
    await put(bank, f"f{one}", file_of(changed, returned))
    await settle(control)
    verdicts = {
        e.verdict.original_trace: e for e in parse(await last_report(bank, "returns")).entries
    }

    await control.post("/control/accounts/bank/ach/plans", {"entry": returned.trace, "code": "R68"})
    await settle(control)

    assert ("C01", 0) == (verdicts[changed.trace].verdict.code, verdicts[changed.trace].amount)
    assert [900] == await moved(control, f"ref-{one}")
    [dishonored] = parse(await last_report(bank, "returns")).entries
    assert ("R68", "02", verdicts[returned.trace].verdict.trace) == (
        dishonored.verdict.code,
        dishonored.verdict.return_code,
        dishonored.verdict.return_trace,
    )


async def test_a_refund_names_its_debit_and_takes_no_more_than_is_left(bank, control):
    debit, back, more = next(numbers), next(numbers), next(numbers)
    account = await token(bank)
    taken = entry(debit, account, 1_000)
    await put(bank, f"f{debit}", file_of(taken))
    await settle(control)

    refund = entry(
        back, account, 400, name=f"re_{back:012d}", words=f"ref-{back} {taken.individual_id}"
    )
    beyond = entry(
        more, account, 700, name=f"re_{more:012d}", words=f"ref-{more} {taken.individual_id}"
    )
    status, _ = await put(bank, f"f{back}", file_of(refund))
    await settle(control)
    refused, error = await put(bank, f"f{more}", file_of(beyond))

    assert (201, [-400]) == (status, await moved(control, f"ref-{back}"))
    assert (400, "body") == (refused, error["error"]["field"])


async def test_a_lost_answer_to_a_file_loses_no_file(bank, control):
    number = next(numbers)
    rules = {"rules": [{"behaviour": "lost_answer", "operation": "file", "times": 1}]}
    await control.ask("PUT", "/control/accounts/bank/rules", rules)
    content = file_of(entry(number, await token(bank), 300))

    with pytest.raises(aiohttp.ClientError):
        await put(bank, f"f{number}", content)

    assert 1 == (await bank.get(f"/ach/files/f{number}"))["entries"]
    assert 409 == (await put(bank, f"f{number}", content))[0]


async def test_a_closed_file_is_never_taken(bank):
    number = next(numbers)

    closed = await bank.post(f"/ach/files/f{number}/close")
    status, error = await put(bank, f"f{number}", file_of(entry(number, await token(bank), 300)))

    assert ("closed", 409, "key_closed") == (closed["status"], status, error["error"]["code"])


def transfer(name, account, amount="12.50"):
    return {
        "end_to_end_id": name,
        "instructed_amount": {"currency": "USD", "amount": amount},
        "creditor_account": account,
        "remittance_information": f"ref-{name}",
    }


async def test_an_instant_credit_is_sent_once_and_asked_about_by_its_id(bank, control):
    name = f"e2e{next(numbers)}"

    sent = await bank.post("/rtp/credit_transfers", transfer(name, await token(bank)))
    again, error, _ = await bank.ask(
        "POST", "/rtp/credit_transfers", transfer(name, await token(bank), "12.51")
    )

    assert ("ACSC", [-1_250]) == (sent["status"], await moved(control, f"ref-{name}"))
    assert (409, "duplicate") == (again, error["error"]["code"])
    assert "ACSC" == (await bank.get(f"/rtp/credit_transfers/{name}"))["status"]


async def test_an_unknown_instant_credit_is_final_only_once_it_is_closed(bank, control):
    name = f"e2e{next(numbers)}"

    unknown, _, _ = await bank.ask("GET", f"/rtp/credit_transfers/{name}")
    closed = await bank.post(f"/rtp/credit_transfers/{name}/close")
    late, error, _ = await bank.ask("POST", "/rtp/credit_transfers", transfer(name, "tok_ok"))

    assert (404, "CLOSED", 409) == (unknown, closed["status"], late)
    assert ("key_closed", []) == (error["error"]["code"], await moved(control, f"ref-{name}"))


@pytest.mark.long
async def test_what_was_not_told_before_a_crash_is_told_after_it(sandbox, bank, control):
    number = next(numbers)
    debit = entry(number, await token(bank, "00077291"), 800)
    await put(bank, f"f{number}", file_of(debit))
    await settle(control)
    sandbox.kill()

    sandbox.start()

    async with (
        sandbox.control() as after,
        Client(f"http://127.0.0.1:{sandbox.ports['bank']}", KEY) as again,
    ):
        await settle(after)
        [back] = parse(await last_report(again, "returns")).entries
        assert ("R29", debit.trace) == (back.verdict.code, back.verdict.original_trace)
        assert [800, -800] == await moved(after, f"ref-{number}")
