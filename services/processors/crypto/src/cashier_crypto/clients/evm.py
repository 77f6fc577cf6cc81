"""One EVM node over JSON-RPC: it answers what it shows, and everything else is "not known"."""

import asyncio
from collections.abc import Awaitable, Collection
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientTimeout
from eth_typing import ChecksumAddress, HexStr
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import BlockNotFound, TransactionNotFound, Web3Exception
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers.async_base import AsyncBaseProvider
from web3.types import BlockData, FilterParams, LogReceipt, RPCEndpoint

from cashier_common.health.monitor import Monitor
from cashier_common.health.tally import Result
from cashier_common.health.ward import WHOLE
from cashier_crypto.domain.errors import ChainUnavailable, WrongChain
from cashier_crypto.domain.sighting import Block, Log, Receipt

CONNECT_TIMEOUT_S: Final = 2.0
"""A node that does not accept within this is away."""
CALL_TIMEOUT_S: Final = 8.0
"""The slowest question is for the logs of many blocks; public nodes give up after 10 s."""
TRANSFER_TOPIC: Final = keccak(text="Transfer(address,address,uint256)")
TOPICS: Final = 3  # ERC-721 has the same event with a fourth: no amount of anything
UINT256_BYTES: Final = 32
ADDRESS_BYTES: Final = 20

T = TypeVar("T")


class EvmEndpoint:
    """`flows.ports.Endpoint` on web3."""

    def __init__(
        self,
        provider: AsyncBaseProvider,
        *,
        name: str,
        chain: str,
        monitor: Monitor | None = None,
    ) -> None:
        self._monitor = monitor
        self._web3 = AsyncWeb3(provider)
        self._web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self._provider = provider
        self._name = name
        self._chain = chain
        self._is_checked = False

    @classmethod
    def at(cls, url: str, *, chain: str, monitor: Monitor | None = None) -> "EvmEndpoint":
        """The node at an HTTP URL; nothing is opened here. `monitor` counts how well it answers."""
        timeout = ClientTimeout(total=CALL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        provider = AsyncHTTPProvider(
            url,
            request_kwargs={"timeout": timeout},
            exception_retry_configuration=None,  # the watcher asks again; nothing hides a slow node
        )
        name = urlsplit(url).netloc.rpartition("@")[2]
        if monitor is not None:
            monitor.watch(name)
        return cls(provider, name=name, chain=chain, monitor=monitor)

    @property
    def name(self) -> str:
        return self._name

    async def head(self) -> Block:
        return _block(await self._ask(self._web3.eth.get_block("latest")))

    async def block(self, number: int) -> Block | None:
        try:
            return _block(await self._ask(self._web3.eth.get_block(number)))
        except BlockNotFound:
            return None

    async def token_logs(self, first: int, last: int, contracts: Collection[str]) -> list[Log]:
        where: FilterParams = {
            "fromBlock": first,
            "toBlock": last,
            "address": [_checksummed(contract) for contract in sorted(contracts)],
            "topics": [_topic(TRANSFER_TOPIC)],
        }
        return _logs(await self._ask(self._web3.eth.get_logs(where)))

    async def logs_paying(self, first: int, last: int, addresses: Collection[str]) -> list[Log]:
        if not addresses:
            return []
        payees = [_topic(bytes.fromhex(address[2:]).rjust(32, b"\0")) for address in addresses]
        where: FilterParams = {
            "fromBlock": first,
            "toBlock": last,
            "topics": [_topic(TRANSFER_TOPIC), cast("HexStr", None), payees],
        }
        return _logs(await self._ask(self._web3.eth.get_logs(where)))

    async def receipt(self, tx_hash: str) -> Receipt | None:
        try:
            found = await self._ask(self._web3.eth.get_transaction_receipt(cast("HexStr", tx_hash)))
        except TransactionNotFound:
            return None
        if found["status"] != 1:
            return None
        read = [_log(log) for log in found["logs"]]
        return Receipt(
            tx_hash=tx_hash,
            block_number=found["blockNumber"],
            block_hash=HexBytes(found["blockHash"]).to_0x_hex(),
            transfers={ordinal: log for ordinal, log in enumerate(read) if log is not None},
        )

    async def close(self) -> None:
        """Let go of connections."""
        if isinstance(self._provider, AsyncHTTPProvider):
            await self._provider.disconnect()

    async def _ask(self, question: Awaitable[T]) -> T:
        """The answer; ChainUnavailable for whatever is none.

        Questions move nothing, so the breaker never keeps one back; it only tells of the node.
        """
        if self._monitor is None:
            return await self._answer(question)
        with self._monitor.exchange(self._name, WHOLE, is_new=False) as exchange:
            try:
                answer = await self._answer(question)
            except (BlockNotFound, TransactionNotFound):
                exchange.tell(Result.SUCCESS)
                raise
            except ChainUnavailable as error:
                timed_out = isinstance(error.__cause__, TimeoutError)
                exchange.tell(Result.TIMED_OUT if timed_out else Result.FAILED)
                raise
            exchange.tell(Result.SUCCESS)
            return answer

    async def _answer(self, question: Awaitable[T]) -> T:
        if not self._is_checked:
            await self._check_chain(question)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await question
        except (BlockNotFound, TransactionNotFound):
            raise
        except (Web3Exception, ClientError, OSError, ValueError, KeyError) as error:
            raise ChainUnavailable(f"{self._name}: {type(error).__name__}") from error

    async def _check_chain(self, question: Awaitable[Any]) -> None:
        """Find out, once per process, that it is the chain that it is taken for."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                answer = await self._web3.provider.make_request(RPCEndpoint("eth_chainId"), [])
            number = answer["result"]
            found = f"eip155:{int(number, 16) if isinstance(number, str) else number}"
        except (Web3Exception, ClientError, OSError, ValueError, KeyError) as error:
            _drop(question)
            raise ChainUnavailable(f"{self._name}: {type(error).__name__}") from error
        if found != self._chain:
            _drop(question)
            raise WrongChain(f"{self._name} serves {found}, and {self._chain} is wanted")
        self._is_checked = True


def _drop(question: Awaitable[Any]) -> None:
    if asyncio.iscoroutine(question):
        question.close()


def _block(data: BlockData) -> Block:
    return Block(
        number=data["number"],
        hash=HexBytes(data["hash"]).to_0x_hex(),
        parent_hash=HexBytes(data["parentHash"]).to_0x_hex(),
        time=datetime.fromtimestamp(data["timestamp"], UTC),
    )


def _logs(found: Collection[LogReceipt]) -> list[Log]:
    return [log for log in map(_log, found) if log is not None]


def _log(data: LogReceipt) -> Log | None:
    """A token's `Transfer`; None for any other event, and for what only looks like one."""
    topics, units = data["topics"], HexBytes(data["data"])
    if len(topics) != TOPICS or bytes(topics[0]) != TRANSFER_TOPIC or len(units) != UINT256_BYTES:
        return None
    return Log(
        tx_hash=HexBytes(data["transactionHash"]).to_0x_hex(),
        index=data["logIndex"],
        block_number=data["blockNumber"],
        block_hash=HexBytes(data["blockHash"]).to_0x_hex(),
        contract=data["address"].lower(),
        source=_address(topics[1]),
        destination=_address(topics[2]),
        units=int.from_bytes(units, "big"),
    )


def _address(topic: bytes) -> str:
    return "0x" + bytes(topic)[-ADDRESS_BYTES:].hex()


def _topic(value: bytes) -> HexStr:
    return cast("HexStr", "0x" + value.hex())


def _checksummed(address: str) -> ChecksumAddress:
    return to_checksum_address(address)
