"""Development only: puts the test token on a local chain and pays deposits with it.

`python -m cashier_crypto.devchain deploy | transfer ADDRESS AMOUNT | transfers | mine BLOCKS`
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import typer
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from cashier_common.assets import AmountUnreadableError, from_decimal
from cashier_common.settings import Environment

# Account 9 of the mnemonic "test test test test test test test test test test test junk", which
# anvil and hardhat print when they start: a public constant that holds play money, not a secret.
DEPLOYER_KEY: Final = "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"
TOKENS: Final = {"USDC": ("USD Coin (development)", 0), "USDT": ("Tether (development)", 1)}
"""Asset → name and the deployer's nonce, which makes the contract's address the same everywhere."""
SUPPLY_UNITS: Final = 10**18
LOCAL_CHAINS: Final = frozenset({31337, 131277322940537})  # anvil, eth-tester
DEFAULT_URL: Final = "http://127.0.0.1:7430"
TIMEOUT_S: Final = 10
GAS_MAX: Final = 3_000_000
EXIT_REFUSED: Final = 78

commands = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


class DevchainRefused(Exception):
    """No chain to play with, or not an environment to do it in."""


@dataclass(frozen=True, slots=True)
class Payment:
    """One transfer of the test token; `units` are those of the token, 10 ** 6 to a dollar."""

    asset: str
    address: str
    units: int


def connect(url: str) -> Web3:
    """A chain at a URL; DevchainRefused outside development or where it is no local chain."""
    if os.environ.get("CASHIER_ENVIRONMENT") != Environment.DEVELOPMENT:
        raise DevchainRefused(
            "CASHIER_ENVIRONMENT is not development: the test token is for local chains alone"
        )
    web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": TIMEOUT_S}))
    try:
        chain_id = web3.eth.chain_id
    except (OSError, Web3Exception):
        raise DevchainRefused(f"no chain answers at {url}: start it with `make up`") from None
    if chain_id not in LOCAL_CHAINS:
        raise DevchainRefused(f"{url} serves chain {chain_id}, which is not a local one")
    return web3


def deploy(web3: Web3, assets: Sequence[str] = tuple(TOKENS)) -> dict[str, str]:
    """Deploy the test tokens that are not there; contract by asset. Doing it twice does nothing."""
    found = {}
    for asset in assets:
        name, nonce = TOKENS[asset]
        address = contract_address(nonce)
        if not web3.eth.get_code(Web3.to_checksum_address(address)):
            following = web3.eth.get_transaction_count(deployer().address)
            if following != nonce:
                raise DevchainRefused(
                    f"the test account has sent {following} transactions on this chain and {asset} "
                    f"must be number {nonce}: start the chain anew"
                )
            create = _token(web3).constructor(name, asset, SUPPLY_UNITS)
            _send(web3, create.build_transaction(_terms(web3, nonce)))
        found[asset] = address
    return found


def pay(web3: Web3, payments: Sequence[Payment], *, mine_blocks: int = 0) -> list[str]:
    """Send the transfers, each a transaction of its own; their hashes, when all are mined."""
    nonce = web3.eth.get_transaction_count(deployer().address)
    sent = []
    for number, payment in enumerate(payments):
        token = _token(web3, contract_address(TOKENS[payment.asset][1]))
        call = token.functions.transfer(Web3.to_checksum_address(payment.address), payment.units)
        raw = deployer().sign_transaction(call.build_transaction(_terms(web3, nonce + number)))
        sent.append(web3.eth.send_raw_transaction(raw.raw_transaction))
    for tx_hash in sent:
        if web3.eth.wait_for_transaction_receipt(tx_hash, timeout=TIMEOUT_S)["status"] != 1:
            raise DevchainRefused(f"{tx_hash.to_0x_hex()} was reverted: is the token deployed?")
    mine(web3, mine_blocks)
    return [tx_hash.to_0x_hex() for tx_hash in sent]


def mine(web3: Web3, blocks: int) -> None:
    """Let so many empty blocks follow, so that what was sent becomes final."""
    for _ in range(blocks):
        web3.provider.make_request(RPCEndpoint("evm_mine"), [])


def deployer() -> LocalAccount:
    """Who owns the supply of every test token."""
    account: LocalAccount = Account.from_key(DEPLOYER_KEY)
    return account


def contract_address(nonce: int) -> str:
    """Where the deployer's transaction with this nonce (0 or 1) puts a contract, checksummed."""
    return (
        "0x700b6A60ce7EaaEA56F065753d8dcB9653dbAD35",
        "0xA15BB66138824a1c7167f5E85b957d04Dd34E468",
    )[nonce]


def artifact() -> dict[str, Any]:
    """ABI and bytecode of `chain/token.vy`, as the compiler gave them."""
    text = (resources.files("cashier_crypto") / "chain/token.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def _token(web3: Web3, address: str | None = None) -> Any:  # noqa: ANN401 - web3 makes the type
    compiled = artifact()
    if address is None:
        return web3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
    return web3.eth.contract(address=Web3.to_checksum_address(address), abi=compiled["abi"])


def _terms(web3: Web3, nonce: int) -> Any:  # noqa: ANN401 - web3 wants its own dictionary
    return {
        "from": deployer().address,
        "nonce": nonce,
        "gas": GAS_MAX,
        "gasPrice": 2 * web3.eth.gas_price,
        "chainId": web3.eth.chain_id,
    }


def _send(web3: Web3, transaction: Any) -> None:  # noqa: ANN401 - as `_terms`
    raw = deployer().sign_transaction(transaction)
    tx_hash = web3.eth.send_raw_transaction(raw.raw_transaction)
    web3.eth.wait_for_transaction_receipt(tx_hash, timeout=TIMEOUT_S)


_URL = typer.Option(DEFAULT_URL, envvar="CASHIER_CHAIN_URL", help="JSON-RPC of the local chain.")


@commands.command("deploy")
def deploy_command(url: str = _URL) -> None:
    """Put the test tokens on the chain where they are not there yet."""
    for asset, address in deploy(_connected(url)).items():
        typer.echo(f"{asset} {address}")


@commands.command("transfer")
def transfer_command(
    address: str,
    amount: str,
    asset: str = typer.Option("USDC", help="USDC or USDT."),
    blocks: int = typer.Option(0, help="Empty blocks to mine afterwards."),
    url: str = _URL,
) -> None:
    """Pay AMOUNT (in dollars, such as 12.50) to ADDRESS; prints the transaction's hash."""
    payment = _payment(address, amount, asset)
    typer.echo(pay(_connected(url), [payment], mine_blocks=blocks)[0])


@commands.command("transfers")
def transfers_command(
    blocks: int = typer.Option(0, help="Empty blocks to mine afterwards."),
    url: str = _URL,
) -> None:
    """Pay every line `ADDRESS AMOUNT ASSET` of the standard input; prints the hashes in order."""
    words = [line.split() for line in sys.stdin if line.strip()]
    for number, line in enumerate(words, start=1):
        if len(line) != 3:  # noqa: PLR2004 - address, amount, asset
            typer.echo(f"line {number} is not ADDRESS AMOUNT ASSET", err=True)
            raise typer.Exit(EXIT_REFUSED)
    payments = [_payment(*line) for line in words]
    for tx_hash in pay(_connected(url), payments, mine_blocks=blocks):
        typer.echo(tx_hash)


@commands.command("mine")
def mine_command(blocks: int, url: str = _URL) -> None:
    """Mine BLOCKS empty blocks."""
    mine(_connected(url), blocks)


def _payment(address: str, amount: str, asset: str) -> Payment:
    if asset not in TOKENS:
        typer.echo(f"there is no test token of {asset}: choose from {', '.join(TOKENS)}", err=True)
        raise typer.Exit(EXIT_REFUSED)
    try:
        return Payment(asset, address, from_decimal(amount, asset).minor)
    except AmountUnreadableError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_REFUSED) from None


def _connected(url: str) -> Web3:
    try:
        return connect(url)
    except DevchainRefused as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_REFUSED) from None


if __name__ == "__main__":
    commands()
