"""What the processor agreed with one merchant account."""

from __future__ import annotations

from dataclasses import dataclass

from cashier_sandbox.domain.fees import FeeSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A processor account; `port` 0 lets the system choose, `imitates` names the API it speaks."""

    name: str
    port: int
    api_key: str
    currencies: frozenset[str]
    fees: FeeSchedule
    settlement_format: str
    imitates: str = "native"
    # Of a bank: seconds between two settlement times; 0 leaves them to the control API.
    settles_every_s: int = 0
