"""The charges API over real HTTP: one key is one charge, whatever happens around it."""

import asyncio

import aiohttp
import pytest

from tests.support.sandbox_process import running_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


async def moved(sandbox, reference):
    """What the ledger says was really charged under a reference."""
    async with sandbox.control() as control:
        page = await control.get(f"/control/ledger?reference={reference}&moved=true")
    return [entry["moved"] for entry in page["entries"]]


async def test_fifty_concurrent_charges_with_one_key_are_one_charge(sandbox):
    async with sandbox.account() as account:
        answers = await asyncio.gather(*(account.charge("k50", "tok_held_1") for _ in range(50)))

    assert {201} == {status for status, _, _ in answers}
    assert 1 == len({str(body) for _, body, _ in answers})
    assert 49 == sum("Idempotent-Replayed" in headers for _, _, headers in answers)
    assert [1250] == await moved(sandbox, "ref-k50")


async def test_a_key_with_another_body_is_refused(sandbox):
    async with sandbox.account() as account:
        await account.charge("k-other")
        status, body, _ = await account.charge("k-other", amount=1251)
        running = asyncio.create_task(account.charge("k-run", "tok_held_1"))
        await asyncio.sleep(0.2)
        early, early_body, _ = await account.charge("k-run", amount=1)
        await running

    assert (409, "idempotency_mismatch") == (status, body["error"]["code"])
    assert (409, "idempotency_mismatch") == (early, early_body["error"]["code"])
    assert [1250] == await moved(sandbox, "ref-k-other")


async def test_a_lost_answer_was_really_charged(sandbox):
    async with sandbox.account() as account:
        with pytest.raises(aiohttp.ClientConnectionError):
            await account.charge("k-lost", "tok_lost_answer")
        found = await account.get("/v1/charges?reference=ref-k-lost")
        status, again, headers = await account.charge("k-lost", "tok_lost_answer")

    assert ["succeeded"] == [charge["status"] for charge in found["data"]]
    assert (201, found["data"][0]) == (status, again)
    assert "true" == headers["Idempotent-Replayed"]
    assert [1250] == await moved(sandbox, "ref-k-lost")


async def test_a_held_request_is_applied_after_the_caller_went_away(sandbox):
    async with sandbox.account() as account:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(account.charge("k-held", "tok_held_1"), 0.3)
        early = await account.get("/v1/charges?reference=ref-k-held")
        waiting = await account.get("/v1/keys/k-held")
        await asyncio.sleep(1.2)
        late = await account.get("/v1/charges?reference=ref-k-held")

    assert [] == early["data"]
    assert "in_progress" == waiting["status"]
    assert 1 == len(late["data"])


async def test_a_held_request_finds_the_door_closed(sandbox):
    async with sandbox.account() as account:
        held = asyncio.create_task(account.charge("k-door", "tok_held_1"))
        await asyncio.sleep(0.3)
        closed = await account.post("/v1/keys/k-door/close")
        status, body, _ = await held

    assert "closed" == closed["status"]
    assert (409, "key_closed", True) == (
        status,
        body["error"]["code"],
        body["error"]["no_effect"],
    )
    assert [] == await moved(sandbox, "ref-k-door")


async def test_of_charging_and_closing_exactly_one_wins(sandbox):
    async def race(account, number):
        key = f"race-{number}"
        if number % 2:
            charge, door = await asyncio.gather(
                account.charge(key), account.post(f"/v1/keys/{key}/close")
            )
        else:
            door, charge = await asyncio.gather(
                account.post(f"/v1/keys/{key}/close"), account.charge(key)
            )
        return key, charge[0], door["status"]

    async with sandbox.account() as account:
        results = await asyncio.gather(*(race(account, number) for number in range(100)))

    assert {(201, "used"), (409, "closed")} >= {(status, door) for _, status, door in results}
    for key, status, _ in results:
        assert ([1250] if status == 201 else []) == await moved(sandbox, f"ref-{key}")


@pytest.mark.parametrize(
    ("token", "status", "no_effect", "charged"),
    [
        ("tok_500_before", 500, False, []),
        ("tok_500_after", 500, False, [1250]),
        ("tok_rate_limited", 429, True, []),
        ("tok_unavailable", 503, True, []),
    ],
)
async def test_a_fault_has_the_effect_that_its_name_says(
    sandbox, token, status, no_effect, charged
):
    async with sandbox.account() as account:
        got, body, _ = await account.charge(f"k-{token}", token)

    assert (status, no_effect) == (got, body["error"]["no_effect"])
    assert charged == await moved(sandbox, f"ref-k-{token}")


async def test_a_repeat_succeeds_after_the_scripted_number_of_faults(sandbox):
    async with sandbox.account() as account:
        tries = [await account.charge("k-twice", "tok_500_before_2") for _ in range(3)]

    assert [500, 500, 201] == [status for status, _, _ in tries]


@pytest.mark.parametrize(
    ("token", "code", "advice"),
    [
        ("tok_decline_soft", "try_again_later", "try_again"),
        ("tok_decline_issuer_unavailable", "issuer_unavailable", "try_again"),
        ("tok_decline_insufficient_funds.bob", "insufficient_funds", "do_not_try_again"),
        ("tok_decline_hard", "do_not_honor", "do_not_try_again"),
        ("tok_stolen", "stolen_card", "never_try_again"),
    ],
)
async def test_a_decline_is_an_answer_and_moves_nothing(sandbox, token, code, advice):
    async with sandbox.account() as account:
        status, body, _ = await account.charge(f"k-{token}", token)

    assert (201, "declined") == (status, body["status"])
    assert (code, advice) == (body["decline"]["code"], body["decline"]["advice"])
    assert [] == await moved(sandbox, f"ref-k-{token}")


async def test_a_wrong_amount_is_only_in_the_answer(sandbox):
    async with sandbox.account() as account:
        _, body, _ = await account.charge("k-wrong", "tok_wrong_amount")
        found = await account.get(f"/v1/charges/{body['id']}")

    assert (1350, 1250) == (body["amount"], found["amount"])


async def test_captures_voids_and_refunds_stay_within_what_is_there(sandbox):
    async with sandbox.account() as account:
        _, charge, _ = await account.charge("k-auth", capture=False)
        path = f"/v1/charges/{charge['id']}"
        part = await account.post(f"{path}/capture", {"amount": 1000}, key="k-cap-1")
        too_much, _, _ = await account.ask("POST", f"{path}/capture", {"amount": 251}, key="k-c2")
        rest = await account.post(f"{path}/void", key="k-void")
        asked = [
            account.ask(
                "POST",
                "/v1/refunds",
                {"charge": charge["id"], "amount": 30, "reference": f"refund-{n}"},
                key=f"k-refund-{n}",
            )
            for n in range(100)
        ]
        refunds = await asyncio.gather(*asked)
        after = await account.get(path)

    assert ("authorized", 0) == (charge["status"], charge["amount_captured"])
    assert ("authorized", 1000) == (part["status"], part["amount_captured"])
    assert 409 == too_much
    assert ("succeeded", 250) == (rest["status"], rest["amount_voided"])
    assert 33 == sum(status == 201 for status, _, _ in refunds)
    assert 990 == after["amount_refunded"]


async def test_a_payer_answers_the_challenge(sandbox):
    async with sandbox.account() as account:
        _, asked, _ = await account.charge("k-3ds", "tok_action_required")
        status, page, _ = await account.ask("GET", asked["action"]["url"])
        await account.ask("POST", asked["action"]["url"], {"outcome": "approve"})
        approved = await account.get(f"/v1/charges/{asked['id']}")
        _, other, _ = await account.charge("k-3ds-no", "tok_action_required")
        await account.ask("POST", other["action"]["url"], {"outcome": "deny"})
        denied = await account.get(f"/v1/charges/{other['id']}")

    assert (200, True) == (status, b"Approve" in page)
    assert ("requires_action", "succeeded") == (asked["status"], approved["status"])
    assert ("declined", "authentication_failed") == (denied["status"], denied["decline"]["code"])


async def test_a_pending_charge_answers_by_itself(sandbox):
    async with sandbox.account() as account:
        _, first, _ = await account.charge("k-pending", "tok_pending_1")
        await asyncio.sleep(1.3)
        later = await account.get(f"/v1/charges/{first['id']}")
        _, replayed, _ = await account.charge("k-pending", "tok_pending_1")

    assert ("pending", "succeeded") == (first["status"], later["status"])
    assert first == replayed
    assert [1250] == await moved(sandbox, "ref-k-pending")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 12.5}, "amount"),
        ({"amount": "1250"}, "amount"),
        ({"amount": 10**30}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "GBP"}, "currency"),
        ({"token": "4242"}, "token"),
        ({"reference": ""}, "reference"),
        ({"reference": "a\x00b"}, "reference"),
        ({"reference": "4242 4242 4242 4242"}, "reference"),
        ({"capture": 1}, "capture"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(n): "" for n in range(21)}}, "metadata"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_bad_input_names_its_field_and_charges_nothing(sandbox, change, field):
    async with sandbox.account() as account:
        status, body, _ = await account.charge("k-bad", **change)
        key = await account.get("/v1/keys/k-bad")

    assert (400, field) == (status, body["error"]["field"])
    assert "unused" == key["status"]


async def test_what_is_no_request_is_refused_in_words(sandbox):
    async with sandbox.account() as account:
        answers = [
            await account.ask("POST", "/v1/charges", b"{", key="k-x"),
            await account.ask("POST", "/v1/charges", b"[1]", key="k-x"),
            await account.ask("POST", "/v1/charges", b'{"a":"\xff"}', key="k-x"),
            await account.ask("POST", "/v1/charges", b"x" * 20_000, key="k-x"),
            await account.charge("k" * 65),
            await account.charge("k k"),
            await account.ask("POST", "/v1/charges", {}),
            await account.ask("GET", "/v1/nothing"),
            await account.ask("DELETE", "/v1/balance"),
            await account.ask("GET", "/v1/charges?limit=101"),
            await account.ask("GET", "/v1/charges?after=ch_x"),
        ]
    async with sandbox.account("two") as other:
        answers.append(
            await other.ask("GET", f"http://127.0.0.1:{sandbox.ports['one']}/v1/balance")
        )

    assert [400, 400, 400, 413, 400, 400, 400, 404, 405, 400, 400, 401] == [
        status for status, _, _ in answers
    ]
    assert all(body["error"]["message"] for _, body, _ in answers)


async def test_a_list_pages_through_everything_once(sandbox):
    async with sandbox.account("two") as account:
        for number in range(7):
            await account.charge(f"page-{number}")
        seen, cursor = [], ""
        while True:
            page = await account.get("/v1/charges?limit=3" + (cursor and f"&after={cursor}"))
            seen += [charge["reference"] for charge in page["data"]]
            cursor = page["next_cursor"]
            if not page["has_more"]:
                break

    assert [f"ref-page-{number}" for number in range(7)] == seen
