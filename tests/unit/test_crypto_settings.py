"""Settings and accounts of the crypto rail, and the test token that development runs on."""

import json
from importlib import resources

import pytest
from typer.testing import CliRunner

from cashier_common.settings import Environment, SettingsRefused
from cashier_crypto import devchain
from cashier_crypto.domain.xpub import DEVELOPMENT
from cashier_crypto.settings import CryptoSettings
from cashier_crypto.storage.accounts import load_accounts

TOKEN = "{asset: USDC, contract: '0x700b6A60ce7EaaEA56F065753d8dcB9653dbAD35', decimals: 6}"
ACCOUNT = f"""
  - account_id: evm
    chain: eip155:1
    start_block: 1
    required_confirmations: 12
    deposit_lifetime_s: 3600
    deposit_xpub: {DEVELOPMENT}
    tokens: [{TOKEN}]
    fee_version: v1
    settlement_lag_days: 1
"""


def test_the_accounts_of_development_expect_the_tokens_where_they_are_deployed():
    account = load_accounts(None, development=True, has_chain=True)["evm-usdc"]

    assert {asset: devchain.contract_address(nonce).lower() for asset, (_, nonce) in
            devchain.TOKENS.items()} == {t.asset: t.contract for t in account.tokens}  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("decimals: 6", "decimals: 2", "smaller"),
        ("0x700b6A", "0x700B6A", "checksum"),
        ("asset: USDC", "asset: XYZ", "XYZ"),
        ("required_confirmations: 12", "required_confirmations: 0", "required_confirmations"),
        (DEVELOPMENT, DEVELOPMENT[:-1], "deposit_xpub"),
        ("fee_version: v1", "fee_version: v1\n    colour: red", "colour"),
        (f"[{TOKEN}]", f"[{TOKEN}, {TOKEN}]", "two tokens"),
    ],
)
def test_a_broken_accounts_file_is_refused_in_sentences(tmp_path, before, after, problem):
    path = tmp_path / "accounts.yaml"
    path.write_text("accounts:" + ACCOUNT.replace(before, after))

    with pytest.raises(SettingsRefused, match=problem):
        load_accounts(path, development=True, has_chain=True)


def test_the_key_that_everybody_knows_is_refused_in_production(tmp_path):
    path = tmp_path / "accounts.yaml"
    path.write_text("accounts:" + ACCOUNT)

    with pytest.raises(SettingsRefused, match="everybody knows"):
        load_accounts(path, development=False, has_chain=True)


@pytest.mark.parametrize("twin", [ACCOUNT, ACCOUNT.replace("evm", "two").replace("155:1", "155:2")])
def test_one_file_has_each_account_once_and_one_chain(tmp_path, twin):
    path = tmp_path / "accounts.yaml"
    path.write_text("accounts:" + ACCOUNT + twin)

    with pytest.raises(SettingsRefused, match=r"twice|one chain"):
        load_accounts(path, development=True, has_chain=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"processor_accounts": None},
        {"chain_witness_urls": ""},
        {"chain_witness_urls": "http://node"},
    ],
)
def test_production_names_its_accounts_and_a_second_node(tmp_path, changes):
    good = {
        "environment": Environment.PRODUCTION, "processor_accounts": tmp_path,
        "chain_url": "http://node", "chain_witness_urls": "http://node, http://other",
    }  # fmt: skip
    CryptoSettings(**good)

    with pytest.raises(ValueError, match="CASHIER_"):
        CryptoSettings(**(good | changes))


def test_the_test_token_is_for_development_alone(monkeypatch):
    monkeypatch.delenv("CASHIER_ENVIRONMENT", raising=False)

    ran = CliRunner().invoke(devchain.commands, ["deploy", "--url", "http://127.0.0.1:1"])

    assert devchain.EXIT_REFUSED == ran.exit_code
    assert "not development" in ran.output


def test_a_chain_that_does_not_answer_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setenv("CASHIER_ENVIRONMENT", "development")

    ran = CliRunner().invoke(devchain.commands, ["mine", "1", "--url", "http://127.0.0.1:1"])

    assert devchain.EXIT_REFUSED == ran.exit_code
    assert "no chain answers at http://127.0.0.1:1" in ran.output


def test_the_compiled_token_is_what_its_source_gives():
    compiler = pytest.importorskip("vyper.compiler", reason="vyper is not installed")
    folder = resources.files("cashier_crypto") / "chain"

    fresh = compiler.compile_code(
        (folder / "token.vy").read_text(), output_formats=["abi", "bytecode"]
    )

    assert json.loads((folder / "token.json").read_text()) == json.loads(json.dumps(fresh))
