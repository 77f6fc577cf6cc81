"""Outages that are real, and settlement files with mistakes."""

import asyncio
import csv
import io
import json

import aiohttp
import pytest

from tests.support.sandbox_process import running_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
async def calm(sandbox):
    yield sandbox
    async with sandbox.control() as control:
        await control.post("/control/reset")


async def connects(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def test_a_refuse_outage_really_refuses_and_cuts_what_is_open(calm):
    port = calm.ports["one"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with calm.control() as control, calm.account() as account:
        await account.charge("k-before")
        await control.post("/control/accounts/one/outage", {"mode": "refuse"})
        refused = await connects(port)
        rest = await asyncio.wait_for(reader.read(), 2)
        with pytest.raises(aiohttp.ClientConnectorError):
            await account.charge("k-during")
        other = await connects(calm.ports["two"])
        await control.ask("DELETE", "/control/accounts/one/outage")
        status, _, _ = await account.charge("k-during")
    writer.close()

    assert (False, b"", True, 201) == (refused, rest, other, status)


async def test_an_outage_window_begins_and_ends_by_the_clock(calm):
    async with calm.control() as control:
        await control.post(
            "/control/accounts/*/outage", {"mode": "refuse", "after_s": 0.4, "for_s": 0.6}
        )
        seen = []
        for _ in range(4):
            seen.append(await connects(calm.ports["two"]))
            await asyncio.sleep(0.45)

    assert [True, False, seen[2], True] == seen


async def test_outages_can_alternate_many_times_on_one_port(calm):
    async with calm.control() as control:
        for _ in range(15):
            await control.post("/control/accounts/one/outage", {"mode": "refuse"})
            assert not await connects(calm.ports["one"])
            await control.ask("DELETE", "/control/accounts/one/outage")
            assert await connects(calm.ports["one"])


async def test_a_503_outage_does_nothing(calm):
    async with calm.control() as control, calm.account() as account:
        await control.post("/control/accounts/one/outage", {"mode": "http_503"})
        status, body, _ = await account.charge("k-503")
        page = await control.get("/control/ledger?key=k-503")

    assert (503, "service_unavailable") == (status, body["error"]["code"])
    assert [] == page["entries"]


async def test_a_hanging_processor_never_answers_and_does_nothing(calm):
    async with calm.control() as control, calm.account() as account:
        await control.post("/control/accounts/one/outage", {"mode": "hang"})
        hanging = asyncio.create_task(account.charge("k-hang"))
        await asyncio.sleep(0.5)
        silent = not hanging.done()
        await control.ask("DELETE", "/control/accounts/one/outage")
        with pytest.raises(aiohttp.ClientConnectionError):
            await hanging
        page = await control.get("/control/ledger?key=k-hang")

    assert silent
    assert [] == page["entries"]


async def test_a_lost_answer_outage_charges_without_saying_so(calm):
    async with calm.control() as control, calm.account() as account:
        await control.post("/control/accounts/one/outage", {"mode": "lost_answer"})
        with pytest.raises(aiohttp.ClientConnectionError):
            await account.charge("k-gone")
        page = await control.get("/control/ledger?key=k-gone&moved=true")

    assert [1250] == [entry["moved"] for entry in page["entries"]]


async def test_a_rule_lays_a_behaviour_on_matching_requests_only(calm):
    rules = [{"behaviour": "decline_hard", "amount_min": 5000, "currency": "EUR", "times": 1}]
    async with calm.control() as control, calm.account() as account:
        await control.ask("PUT", "/control/accounts/one/rules", {"rules": rules})
        small, big, next_big = [
            (await account.charge(f"k-rule-{n}", amount=amount))[1]["status"]
            for n, amount in enumerate([4999, 5000, 5000])
        ]

    assert ("succeeded", "declined", "succeeded") == (small, big, next_big)


async def test_a_brownout_fails_the_same_requests_in_every_run(tmp_path):
    async def failures(folder, order):
        with running_sandbox(folder) as sandbox:
            async with sandbox.control() as control, sandbox.account() as account:
                await control.ask(
                    "PUT",
                    "/control/accounts/one/brownout",
                    {"probability_ppm": 300_000, "kinds": ["500_before", "500_after"]},
                )
                return {n for n in order if (await account.charge(f"b{n}"))[0] == 500}

    forward = await failures(tmp_path / "a", range(60))
    backward = await failures(tmp_path / "b", range(59, -1, -1))

    assert forward == backward
    assert 5 < len(forward) < 35


async def test_latency_delays_the_effect(calm):
    async with calm.control() as control, calm.account() as account:
        await control.ask("PUT", "/control/accounts/one/latency", {"kind": "fixed", "ms": 300})
        begun = asyncio.get_running_loop().time()
        await account.charge("k-slow")
        took = asyncio.get_running_loop().time() - begun

    assert 0.3 <= took < 2


async def test_the_control_api_needs_its_token(calm):
    async with calm.account() as stranger:
        base = f"http://127.0.0.1:{calm.control_port}"
        status, _, _ = await stranger.ask("GET", base + "/control/ledger")
        health, _, _ = await stranger.ask("GET", base + "/health")

    assert (401, 200) == (status, health)


async def test_money_taken_back_at_the_processor_is_an_event_for_the_merchant(calm):
    async with calm.control() as control, calm.account() as account:
        _, charge, _ = await account.charge("k-back")
        await control.post(f"/control/charges/{charge['id']}/external_refund", {"amount": 250})
        await control.post(f"/control/charges/{charge['id']}/chargeback")
        refused, _, _ = await control.ask("POST", f"/control/charges/{charge['id']}/chargeback", {})
        events = (await account.get("/v1/events?limit=100"))["data"]
        after = await account.get(f"/v1/charges/{charge['id']}")

    types = [e["type"] for e in events if e["resource"].get("charge") == charge["id"]]
    assert ["refund.external", "chargeback.created"] == types
    assert (250, 1000, 409) == (after["amount_refunded"], after["amount_charged_back"], refused)


async def test_a_settlement_file_balances_and_matches_the_ledger(tmp_path):
    with running_sandbox(tmp_path) as sandbox:
        async with sandbox.account() as account, sandbox.control() as control:
            for number in range(20):
                _, charge, _ = await account.charge(f"s{number}", amount=1000 + number)
            await account.post(
                "/v1/refunds",
                {"charge": charge["id"], "amount": 100, "reference": "back"},
                key="sr",
            )
            await account.post(
                "/v1/payouts",
                {"amount": 500, "currency": "EUR", "destination": "tok_ok", "reference": "out"},
                key="sp",
            )
            await account.charge("s-usd", currency="USD")
            await account.charge("s-no", "tok_stolen")
            issued = await control.post("/control/accounts/one/settlements")
            again, _, _ = await control.ask("POST", "/control/accounts/one/settlements", {})
            _, file, _ = await account.ask("GET", f"/v1/settlements/{issued['id']}/file")
            ledger = (await control.get("/control/ledger?moved=true"))["entries"]
            balance = await account.get("/v1/balance")
    rows = list(csv.DictReader(io.StringIO(file.decode())))

    assert 409 == again
    assert 0 == sum(int(row["net"]) for row in rows)
    assert all(int(row["net"]) == int(row["amount"]) - int(row["fee"]) for row in rows)
    assert {"eur", "usd"} == {row["currency"] for row in rows if row["type"] == "payout"}
    told = [(r["source"], r["description"], int(r["amount"]), int(r["fee"])) for r in rows]
    really = [(e["id"], e["reference"], e["moved"], e["fee"]) for e in ledger]
    assert really == [row for row in told if not row[1].startswith("set_")]
    euros = balance["currencies"]["EUR"]
    assert euros["net"] == euros["settled"] == issued["totals"]["EUR"]["net"]


async def test_a_settlement_carries_exactly_the_mistakes_that_were_asked_for(tmp_path):
    wanted = {"omit": 2, "alter_amount": 1, "duplicate": 1, "unknown_charge": 1, "fee_off": 1}
    with running_sandbox(tmp_path) as sandbox:
        async with sandbox.account() as account, sandbox.control() as control:
            for number in range(10):
                await account.charge(f"a{number}")
            path = "/control/accounts/one/settlements"
            status, few, _ = await control.ask("POST", path, {"anomalies": {"omit": 11}})
            issued = await control.post(path, {"anomalies": wanted})
            shown = await account.get(f"/v1/settlements/{issued['id']}")
            _, file, _ = await account.ask("GET", f"/v1/settlements/{issued['id']}/file")
            ledger = (await control.get("/control/ledger?kind=charge"))["entries"]
    rows = [row for row in csv.DictReader(io.StringIO(file.decode())) if row["type"] == "charge"]
    truth = {entry["id"]: (entry["moved"], entry["fee"]) for entry in ledger}
    told = [(row["source"], (int(row["amount"]), int(row["fee"]))) for row in rows]

    assert (400, "anomalies") == (status, few["error"]["field"])
    assert sorted(wanted) == sorted({anomaly["kind"] for anomaly in issued["anomalies"]})
    assert "anomalies" not in shown
    assert 2 == len(set(truth) - {source for source, _ in told})
    assert 1 == sum(source not in truth for source, _ in told)
    assert 1 == len(told) - len(set(told))
    assert 2 == sum(source in truth and truth[source] != value for source, value in set(told))
    for anomaly in issued["anomalies"]:
        assert anomaly["row"] is None or rows[anomaly["row"] - 1]["source"] == anomaly["source"]


async def test_no_secret_reaches_the_log_or_the_ledger(tmp_path):
    with running_sandbox(tmp_path) as sandbox:
        async with sandbox.account() as account:
            await account.charge("k1", reference="4111-1111-1111-1111")
            await account.charge("k2")
        assert 0 == sandbox.stop()
        written = sandbox.log() + sandbox.ledger_path.read_text()

    assert "4111" not in written
    assert "key-of-account-one" not in written
    assert 1 == len([json.loads(line) for line in sandbox.ledger_path.read_text().splitlines()])
