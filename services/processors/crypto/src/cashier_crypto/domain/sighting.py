"""A token transfer that the chain shows: its identity survives reorganisations, its block not."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Use(StrEnum):
    """What became of a sighting that pays an address of ours."""

    OPEN = "OPEN"  # not looked at yet
    BOUND = "BOUND"  # it is what a deposit waited for
    WRONG_TOKEN = "WRONG_TOKEN"  # noqa: S105 - a contract that is not on the list; worth nothing
    LATE = "LATE"  # the address had been retired
    SURPLUS = "SURPLUS"  # the deposit had another one already


@dataclass(frozen=True, slots=True)
class Block:
    """One block's place in the chain."""

    number: int
    hash: str
    parent_hash: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Log:
    """A `Transfer` event as a node lists it; its `index` in the block may change."""

    tx_hash: str
    index: int
    block_number: int
    block_hash: str
    contract: str
    source: str
    destination: str
    units: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """The transfers of one transaction by their ordinal in its receipt, and where it was mined."""

    tx_hash: str
    block_number: int
    block_hash: str
    transfers: dict[int, Log]


@dataclass(frozen=True, slots=True)
class Sighting:
    """Identity is (chain, tx_hash, ordinal); block, amount and parties are read at each mining."""

    tx_hash: str
    ordinal: int
    contract: str
    source: str
    address: str
    units: int
    block_number: int
    block_hash: str
    in_chain: bool = True
    use: Use = Use.OPEN

    @property
    def reference(self) -> str:
        """The identity as text, for outcomes and statements."""
        return f"{self.tx_hash}:{self.ordinal}"

    @classmethod
    def of(cls, log: Log, ordinal: int) -> "Sighting":
        """The sighting that a log with this ordinal is."""
        return cls(
            tx_hash=log.tx_hash,
            ordinal=ordinal,
            contract=log.contract,
            source=log.source,
            address=log.destination,
            units=log.units,
            block_number=log.block_number,
            block_hash=log.block_hash,
        )

    def same_as(self, receipt: Receipt) -> bool:
        """Whether a receipt from elsewhere says the same: block, token, parties and amount."""
        log = receipt.transfers.get(self.ordinal)
        return (
            log is not None
            and (receipt.block_number, receipt.block_hash) == (self.block_number, self.block_hash)
            and (log.contract, log.destination, log.units)
            == (self.contract, self.address, self.units)
        )
