"""Rows to domain objects and back: a deposit is read together with the sighting it is bound to."""

from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import Select, and_, select

from cashier_common.money import Money
from cashier_crypto.domain.account import Token
from cashier_crypto.domain.lifecycle import State
from cashier_crypto.domain.outcome import Outcome
from cashier_crypto.domain.sighting import Block, Sighting, Use
from cashier_crypto.domain.transfer import Transfer
from cashier_crypto.storage.tables import sightings, transfers

bound: Final = sightings.alias("bound")
_BOUND: Final = "bound_"
_joined: Final = transfers.outerjoin(
    bound,
    and_(
        bound.c.chain == transfers.c.chain,
        bound.c.tx_hash == transfers.c.tx_hash,
        bound.c.log_ordinal == transfers.c.log_ordinal,
    ),
)


def select_transfers() -> Select[Any]:
    """Deposits with the sighting that each is bound to; its columns are `bound_…`."""
    seen = (column.label(_BOUND + column.key) for column in bound.columns)
    return select(transfers, *seen).select_from(_joined)


def to_transfer(row: asyncpg.Record) -> Transfer:
    """The deposit of a row of `select_transfers`."""
    outcome = row["outcome"]
    return Transfer(
        merchant=row["merchant"],
        name=row["name"],
        operation=row["operation"],
        account=row["account"],
        chain=row["chain"],
        token=Token(
            asset=row["asset"], contract=row["token_contract"], decimals=row["token_decimals"]
        ),
        amount=Money(row["amount_minor"], row["asset"]),
        address=row["address"],
        required_confirmations=row["required_confirmations"],
        state=State(row["state"]),
        version=row["version"],
        expire_at=row["expire_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        traceparent=row["traceparent"],
        sighting=to_sighting(row, _BOUND) if row["tx_hash"] is not None else None,
        outcome=Outcome.from_json(orjson.loads(outcome)) if outcome else None,
    )


def to_sighting(row: asyncpg.Record, prefix: str = "") -> Sighting:
    """The sighting in the columns that begin with the prefix."""
    return Sighting(
        tx_hash=row[f"{prefix}tx_hash"],
        ordinal=row[f"{prefix}log_ordinal"],
        contract=row[f"{prefix}contract"],
        source=row[f"{prefix}source"],
        address=row[f"{prefix}address"],
        units=int(row[f"{prefix}units"]),
        block_number=row[f"{prefix}block_number"],
        block_hash=row[f"{prefix}block_hash"],
        in_chain=row[f"{prefix}in_chain"],
        use=Use(row[f"{prefix}use"]),
    )


def to_block(row: asyncpg.Record) -> Block:
    """The block of a row."""
    return Block(row["number"], row["hash"], row["parent_hash"], row["time"])


def transfer_row(transfer: Transfer) -> dict[str, Any]:
    """Every column of a new deposit."""
    return {
        "merchant": transfer.merchant,
        "name": transfer.name,
        "operation": transfer.operation,
        "account": transfer.account,
        "chain": transfer.chain,
        "token_contract": transfer.token.contract,
        "token_decimals": transfer.token.decimals,
        "asset": transfer.amount.asset,
        "amount_minor": transfer.amount.minor,
        "address": transfer.address,
        "required_confirmations": transfer.required_confirmations,
        "expire_at": transfer.expire_at,
        "created_at": transfer.created_at,
        "traceparent": transfer.traceparent,
        **moving_columns(transfer),
    }


def moving_columns(transfer: Transfer) -> dict[str, Any]:
    """The columns that a move changes."""
    seen, outcome = transfer.sighting, transfer.outcome
    return {
        "state": transfer.state.value,
        "version": transfer.version,
        "updated_at": transfer.updated_at,
        "tx_hash": seen.tx_hash if seen else None,
        "log_ordinal": seen.ordinal if seen else None,
        "outcome": orjson.dumps(outcome.to_json()).decode() if outcome else None,
    }


def step_payload(transfer: Transfer, source: str, evidence: Sighting | None) -> dict[str, Any]:
    """What the record says of a change; the payer's address stays out: it may be a person's."""
    payload: dict[str, Any] = {
        "source": source,
        "operation": transfer.operation,
        "account": transfer.account,
        "amount": [transfer.amount.minor, transfer.amount.asset],
        "reference": transfer.reference,
        "chain": transfer.chain,
        "address": transfer.address,
    }
    seen = evidence or transfer.sighting
    if seen is not None:
        payload["evidence"] = {
            "transaction": seen.tx_hash,
            "ordinal": seen.ordinal,
            "contract": seen.contract,
            "units": str(seen.units),
            "block_number": seen.block_number,
            "block_hash": seen.block_hash,
            "in_chain": seen.in_chain,
        }
    if transfer.outcome is not None:
        payload["outcome"] = transfer.outcome.to_json()
    return payload
