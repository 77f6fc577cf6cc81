"""Pays deposits on the local chain, and asks the chain itself what came."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import yaml

from cashier.crypto.v1 import crypto_rail_service_pb2, crypto_rail_service_pb2_grpc
from cashier.payments.v1 import payment_pb2
from cashier_common.assets import asset, to_decimal
from cashier_common.money import Money
from cashier_mesh.demo.agreement import Cell, Charge
from cashier_mesh.errors import MeshError

# keccak-256 of Transfer(address,address,uint256), the first topic of every ERC-20 transfer.
TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BALANCE_OF = "0x70a08231"
PAGE_MAX = 1_000
CALL_S = 30.0
PAY_TIMEOUT_S = 60.0
# More than any account of development asks for.
BLOCKS_ON_TOP = 6
ACCOUNTS_FILE = "services/processors/crypto/src/cashier_crypto/chain/accounts.dev.yaml"


@dataclass(frozen=True, slots=True)
class Token:
    """A token that counts as an asset at a processor account."""

    account: str
    asset: str
    contract: str


class Chain:
    """The local chain; transfers are made by the crypto service's development command."""

    def __init__(self, url: str, project_dir: Path, rail: grpc.aio.Channel) -> None:
        self._url = url
        self._project_dir = project_dir
        self._tokens = _tokens(project_dir / ACCOUNTS_FILE)
        self._rail = crypto_rail_service_pb2_grpc.CryptoRailServiceStub(rail)
        self._http = httpx.AsyncClient(base_url=url, timeout=CALL_S, trust_env=False)

    async def prepare(self) -> None:
        """Put the test tokens on the chain where they are not there yet."""
        await self._devchain("deploy")

    async def pay(self, payments: Sequence[payment_pb2.Payment]) -> None:
        """Pay every deposit in full and let blocks grow on top."""
        lines = []
        for payment in payments:
            deposit = payment.next_action.chain_deposit
            amount = Money(deposit.amount.minor, deposit.amount.asset_code)
            lines.append(f"{deposit.address} {to_decimal(amount)} {amount.asset}\n")
        await self._devchain("transfers", "--blocks", str(BLOCKS_ON_TOP), told="".join(lines))

    async def charges(self, merchants: Sequence[str]) -> list[Charge]:
        """Every transfer to an address that was given out, by the chain's own logs."""
        given = await self._given(merchants)
        found = []
        for token in self._tokens:
            terms = {"fromBlock": "0x0", "toBlock": "latest", "address": token.contract}
            logs = await self._ask("eth_getLogs", [{**terms, "topics": [TRANSFER_TOPIC]}])
            for log in logs:
                receiver = _address(log["topics"][2])
                if receiver in given:
                    found.append(
                        Charge(
                            account=token.account,
                            charge_id=f"{log['transactionHash']}/{int(log['logIndex'], 16)}",
                            operation=given[receiver],
                            amount=Money(int(log["data"], 16), token.asset),
                        )
                    )
        return found

    async def totals(self, merchants: Sequence[str]) -> dict[Cell, int]:
        """What lies on the addresses that were given out, by the tokens' own balances."""
        given = await self._given(merchants)
        sums: dict[Cell, int] = {}
        for token in self._tokens:
            total = 0
            for address in given:
                data = BALANCE_OF + address.removeprefix("0x").rjust(64, "0")
                call = {"to": token.contract, "data": data}
                answer = await self._ask("eth_call", [call, "latest"])
                total += int(answer, 16) if answer != "0x" else 0
            if total:
                sums[token.account, token.asset] = total
        return sums

    async def close(self) -> None:
        await self._http.aclose()

    async def _given(self, merchants: Sequence[str]) -> Mapping[str, str]:
        """Addresses that customers were told, in lower case, with the operation of each."""
        given: dict[str, str] = {}
        for merchant in merchants:
            token = ""
            while True:
                page = await self._rail.ListTransfers(
                    crypto_rail_service_pb2.ListTransfersRequest(
                        merchant=merchant, page_size=PAGE_MAX, page_token=token
                    ),
                    timeout=CALL_S,
                )
                given |= {
                    transfer.destination_address.lower(): transfer.operation
                    for transfer in page.transfers
                }
                token = page.next_page_token
                if not token:
                    break
        return given

    async def _ask(self, method: str, params: list[Any]) -> Any:  # noqa: ANN401 - any JSON
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = (await self._http.post("/", json=body)).json()
        if "error" in answer:
            raise MeshError(f"the chain refused {method}: {answer['error']}")
        return answer["result"]

    async def _devchain(self, *words: str, told: str = "") -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cashier_crypto.devchain", *words),
            cwd=self._project_dir,
            env={
                **os.environ,
                "CASHIER_ENVIRONMENT": "development",
                "CASHIER_CHAIN_URL": self._url,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(told.encode()), PAY_TIMEOUT_S)
        except (TimeoutError, asyncio.CancelledError):
            process.kill()
            await process.wait()  # else it outlives the loop that reaps it
            raise
        if process.returncode:
            raise MeshError(f"the chain could not be used: {output.decode().strip()[-500:]}")


def _tokens(path: Path) -> list[Token]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    tokens = []
    for account in document["accounts"]:
        for row in account["tokens"]:
            if row["decimals"] != asset(row["asset"]).exponent:
                raise MeshError(
                    f"{path}: {row['asset']} has {row['decimals']} decimals there and others in "
                    "the asset registry: its units are no minor units"
                )
            tokens.append(Token(account["account_id"], row["asset"], row["contract"]))
    return tokens


def _address(topic: str) -> str:
    """The address in a 32-byte topic, in lower case."""
    return "0x" + topic[-40:].lower()
