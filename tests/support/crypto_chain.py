"""Chains for the tests of the crypto rail: eth-tester inside the process, anvil as a process."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_tester import EthereumTester, PyEVMBackend  # type: ignore[import-untyped]
from web3 import EthereumTesterProvider, HTTPProvider, Web3
from web3.providers.eth_tester import AsyncEthereumTesterProvider

from cashier_crypto import devchain
from cashier_crypto.clients.evm import EvmEndpoint

ROOT = Path(__file__).resolve().parents[2]
START_WAIT_S = 10.0
ANVIL = "eip155:31337"
ETH_TESTER = "eip155:131277322940537"
USDC = devchain.contract_address(0).lower()
USDT = devchain.contract_address(1).lower()
ETHER = Web3.to_wei(100, "ether")
# Account 8 of the public development mnemonic: who deploys a token that is not the real one.
IMPOSTOR_KEY = "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"


class Chain:
    """A chain with the test tokens on it, and somebody rich on it."""

    def __init__(self, web3: Web3, caip2: str) -> None:
        self.web3, self.caip2 = web3, caip2

    def rpc(self, method: str, *params: object) -> Any:
        answer = self.web3.provider.make_request(method, list(params))
        assert "error" not in answer, answer
        return answer["result"]

    def pay(self, address: str, units: int, asset: str = "USDC") -> str:
        return devchain.pay(self.web3, [devchain.Payment(asset, address, units)])[0]

    def pay_many(self, addresses: list[str], units: int) -> str:
        """One transaction with a log for each address."""
        token = devchain._token(self.web3, devchain.contract_address(0))
        receivers = [Web3.to_checksum_address(address) for address in addresses]
        return self._call(token.functions.transferToMany(receivers, units))

    def fake_token(self) -> Any:
        """A token that calls itself USDC, of somebody else."""
        account = self.web3.eth.account.from_key(IMPOSTOR_KEY)
        token = devchain._token(self.web3)
        terms = {**devchain._terms(self.web3, 0), "from": account.address}
        terms["nonce"] = self.web3.eth.get_transaction_count(account.address)
        raw = account.sign_transaction(
            token.constructor("USD Coin", "USDC", 10**12).build_transaction(terms)
        )
        made = self.web3.eth.wait_for_transaction_receipt(
            self.web3.eth.send_raw_transaction(raw.raw_transaction)
        )
        return devchain._token(self.web3, made["contractAddress"])

    def pay_with(self, token: Any, address: str, units: int) -> str:
        account = self.web3.eth.account.from_key(IMPOSTOR_KEY)
        call = token.functions.transfer(Web3.to_checksum_address(address), units)
        terms = {**devchain._terms(self.web3, 0), "from": account.address}
        terms["nonce"] = self.web3.eth.get_transaction_count(account.address)
        raw = account.sign_transaction(call.build_transaction(terms))
        return self.web3.eth.send_raw_transaction(raw.raw_transaction).to_0x_hex()

    def head(self) -> int:
        return self.web3.eth.block_number

    def mine(self, blocks: int) -> None:
        raise NotImplementedError

    def endpoint(self, name: str = "one") -> EvmEndpoint:
        raise NotImplementedError

    def _call(self, call: Any) -> str:
        nonce = self.web3.eth.get_transaction_count(devchain.deployer().address)
        raw = devchain.deployer().sign_transaction(
            call.build_transaction(devchain._terms(self.web3, nonce))
        )
        return self.web3.eth.send_raw_transaction(raw.raw_transaction).to_0x_hex()


class InProcessChain(Chain):
    """eth-tester with py-evm: real blocks and receipts, a reorganisation by going back."""

    def __init__(self) -> None:
        self.tester = EthereumTester(PyEVMBackend())
        super().__init__(Web3(EthereumTesterProvider(self.tester)), ETH_TESTER)
        self.rich = self.web3.eth.accounts[0]
        for payee in (devchain.deployer().address, self._impostor()):
            self.web3.eth.send_transaction({"from": self.rich, "to": payee, "value": ETHER})
        devchain.deploy(self.web3)

    def mine(self, blocks: int) -> None:
        self.tester.mine_blocks(blocks)

    def endpoint(self, name: str = "one") -> EvmEndpoint:
        provider = AsyncEthereumTesterProvider()
        provider.ethereum_tester = self.tester
        return EvmEndpoint(provider, name=name, chain=self.caip2)

    def _impostor(self) -> str:
        return str(self.web3.eth.account.from_key(IMPOSTOR_KEY).address)


class AnvilChain(Chain):
    """anvil, which can really reorganise."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(Web3(HTTPProvider(url, request_kwargs={"timeout": 10})), ANVIL)

    def mine(self, blocks: int) -> None:
        self.rpc("anvil_mine", hex(blocks))

    def reorg(self, depth: int, again: list[tuple[str, int]] | None = None) -> None:
        """Replace the last blocks; `again` are raw transactions and the block they come in."""
        self.rpc("anvil_reorg", depth, [list(pair) for pair in again or []])

    def raw(self, tx_hash: str) -> str:
        return str(self.rpc("eth_getRawTransactionByHash", tx_hash))

    def endpoint(self, name: str = "one") -> EvmEndpoint:
        return EvmEndpoint.at(self.url, chain=self.caip2)


def anvil_program() -> Path | None:
    found = [
        path
        for path in (ROOT / ".tools").glob("**/@foundry-rs/anvil-*/bin/anvil")
        if path.is_file()
    ]
    return found[0] if found else None


@contextlib.contextmanager
def running_anvil(folder: Path, *options: str) -> Iterator[AnvilChain]:
    """A fresh chain with the test tokens; skips where anvil is not installed."""
    program = anvil_program()
    if program is None:
        pytest.skip("anvil is not installed: run `make setup` where npm can install it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "--silent", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "anvil.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--chain-id", "31337", *options], stdout=log, stderr=log, cwd=folder
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url)
        chain = AnvilChain(url)
        devchain.deploy(chain.web3)
        yield chain
    finally:
        process.kill()
        process.wait(10)


def _wait(url: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()
    headers = {"content-type": "application/json"}
    deadline = time.monotonic() + START_WAIT_S
    while True:
        try:
            with urllib.request.urlopen(  # noqa: S310 - an address of ours
                urllib.request.Request(url, body, headers),  # noqa: S310 - the same
                timeout=1,
            ):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
