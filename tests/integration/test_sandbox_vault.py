"""The token vault: one token of ours, another at each processor account, and never a card."""

import asyncio

import aiohttp
import pytest

from tests.support.adyen_library import ACCOUNTS as ADYEN
from tests.support.adyen_library import Library, base_url, charge_id
from tests.support.sandbox_process import Client, Sandbox

KEY = "key-of-the-vault"
VAULT = f"""
  - {{name: vault, port: 0, imitates: vault, api_key: "test:{KEY}", currencies: [EUR]}}
  - {{name: one, port: 0, api_key: "test:key-of-account-one", currencies: [EUR]}}
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    running = Sandbox(tmp_path_factory.mktemp("vault"))
    (running.folder / "accounts.yaml").write_text(ADYEN.rstrip() + VAULT)
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def vault(sandbox):
    async with opened(sandbox) as client:
        yield client
    async with sandbox.control() as control:
        await control.post("/control/reset")


def opened(sandbox, secret=KEY):
    return Client(f"http://127.0.0.1:{sandbox.ports['vault']}", secret)


async def exchange(vault, token, account, **kwargs):
    body = {"vault_token": token, "processor_account": account}
    return await vault.ask("POST", "/v1/exchange", body, **kwargs)


async def kept(vault, key, alias="tok_ok.alice"):
    return (await vault.post("/v1/tokens", {"alias": alias}, key=key))["id"]


async def test_an_account_gets_its_own_token_and_the_same_whenever_it_asks(vault):
    token = await kept(vault, "v1")
    _, one, _ = await exchange(vault, token, "one")
    _, again, _ = await exchange(vault, token, "one")
    _, other, _ = await exchange(vault, token, "adyen")

    assert one == again
    assert one["token"] != other["token"]
    assert one["token"].startswith("tok_ok.")
    assert "alice" not in one["token"]


async def test_the_token_is_good_at_its_account(vault, sandbox):
    token = await kept(vault, "v2", "tok_decline_insufficient_funds.bob")
    good = await kept(vault, "v3")
    _, refused, _ = await exchange(vault, token, "adyen")
    _, taken, _ = await exchange(vault, good, "adyen")
    adyen = Library(base_url(sandbox))
    _, first = await adyen.pay("v-poor", token=refused["token"])
    _, second = await adyen.pay("v-good", token=taken["token"])

    assert ("12", "Authorised") == (first["refusalReasonCode"], second["resultCode"])
    assert await charge_id(sandbox, "ref-v-good")


async def test_a_token_is_kept_once_per_key_over_a_restart(tmp_path):
    sandbox = Sandbox(tmp_path)
    (tmp_path / "accounts.yaml").write_text(ADYEN.rstrip() + VAULT)
    sandbox.start()
    try:
        async with opened(sandbox) as vault:
            token = await kept(vault, "same")
            _, before, _ = await exchange(vault, token, "one")
        sandbox.kill()
        sandbox.start()
        async with opened(sandbox) as vault:
            again = await kept(vault, "same")
            _, after, _ = await exchange(vault, token, "one")
            status, body, _ = await vault.ask(
                "POST", "/v1/tokens", {"alias": "tok_stolen"}, key="same"
            )
    finally:
        sandbox.kill()

    assert (token, before) == (again, after)
    assert (409, "idempotency_mismatch") == (status, body["error"]["code"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"alias": "4111111111111111"}, "invalid_request"),
        ({"alias": "tok_ok.4111-1111-1111-1111"}, "invalid_request"),
        ({"number": "4111111111111111", "alias": "tok_ok"}, "invalid_request"),
        ({"alias": "tok_nonsense"}, "unknown_token"),
        ({}, "invalid_request"),
    ],
)
async def test_no_card_is_taken_nor_written_anywhere(vault, sandbox, body, code):
    status, answer, _ = await vault.ask("POST", "/v1/tokens", body, key="card")

    assert (400, code) == (status, answer["error"]["code"])
    written = sandbox.ledger_path.read_text() + sandbox.log() + str(answer)
    assert "4111" not in written


async def test_what_nobody_knows_is_refused(vault, sandbox):
    token = await kept(vault, "v4")
    unknown, _, _ = await exchange(vault, "vt_unknown", "one")
    account, _, _ = await exchange(vault, token, "elsewhere")
    itself, _, _ = await exchange(vault, token, "vault")
    async with opened(sandbox, "somebody else's") as stranger:
        secret, _, _ = await exchange(stranger, token, "one")

    assert (404, 400, 400, 401) == (unknown, account, itself, secret)


async def test_a_token_that_was_deleted_is_unknown(vault):
    token = await kept(vault, "v5")
    await vault.ask("DELETE", f"/v1/tokens/{token}")
    status, answer, _ = await exchange(vault, token, "one")

    assert (404, "not_found") == (status, answer["error"]["code"])


async def test_the_vault_can_be_slow_unavailable_and_away(vault, sandbox):
    token = await kept(vault, "v6")
    async with sandbox.control() as control:
        rule = {"behaviour": "unavailable", "operation": "token", "times": 1}
        await control.ask("PUT", "/control/accounts/vault/rules", {"rules": [rule]})
        first, body, _ = await exchange(vault, token, "one")
        second, _, _ = await exchange(vault, token, "one")
        slow = {"kind": "fixed", "ms": 400}
        await control.ask("PUT", "/control/accounts/vault/latency", slow)
        begun = asyncio.get_running_loop().time()
        await exchange(vault, token, "one")
        took_s = asyncio.get_running_loop().time() - begun
        await control.post("/control/accounts/vault/outage", {"mode": "refuse"})
        with pytest.raises(aiohttp.ClientError):
            await exchange(vault, token, "one")

    assert (503, "service_unavailable", 200) == (first, body["error"]["code"], second)
    assert took_s >= 0.4
