"""Speaks to localstripe: makes cards for a run, asks what was charged, and writes its export.

localstripe has balance transactions, but no export and no `description` on a PaymentIntent. The
export is made here from `/v1/balance_transactions`, `/v1/charges` and `/v1/payment_intents`; a
charge's description is our operation, which Stripe would show and which its metadata has.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from cashier_common.money import Money
from cashier_mesh.demo.agreement import Cell, Charge, sums_of
from cashier_mesh.demo.ground import Account
from cashier_mesh.errors import MeshError

PAGE_MAX = 1_000
TIMEOUT_S = 30.0
OPERATION_FIELD = "cashier_operation"
# Stripe's published test cards under the names that Stripe gives them.
CARDS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_chargeCustomerFail": "4000000000000341",
}
COLUMNS = (
    *("id", "amount", "available_on", "connected_account_id", "created", "currency"),
    *("description", "exchange_rate", "fee", "net", "source", "status", "type", "payout_id"),
)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A balance transaction with the charge and the intent behind it."""

    account: str
    row: dict[str, Any]
    operation: str


class Localstripe:
    """One localstripe that several accounts share: a currency belongs to one of them."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self.accounts = [account.account_id for account in accounts]
        self._by_currency: dict[str, str] = {}
        for account in accounts:
            for asset in account.assets:
                if asset in self._by_currency:
                    raise MeshError(
                        f"{account.account_id} and {self._by_currency[asset]} both take {asset} at "
                        "one localstripe: its charges do not say whose they are"
                    )
                self._by_currency[asset] = account.account_id
        self._http = httpx.AsyncClient(
            base_url=accounts[0].url,
            headers={"Authorization": f"Bearer {accounts[0].key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    async def make_cards(self) -> dict[str, str]:
        """A PaymentMethod for every test card: name in the table → id at localstripe."""
        made = {}
        for name, number in CARDS.items():
            form = {
                "type": "card",
                "card[number]": number,
                "card[exp_month]": "12",
                "card[exp_year]": "2030",
                "card[cvc]": "123",
            }
            answer = await self._http.post("/v1/payment_methods", data=form)
            answer.raise_for_status()
            made[name] = answer.json()["id"]
        return made

    async def charges(self) -> list[Charge]:
        """Every charge that took money, whoever made it."""
        operations = await self._operations()
        return [
            Charge(
                account=self._account_of(row["currency"]),
                charge_id=row["id"],
                operation=operations.get(row["payment_intent"] or "", ""),
                amount=Money(row["amount"], row["currency"].upper()),
            )
            for row in await self._all("/v1/charges")
            if row["status"] == "succeeded" and row["captured"]
        ]

    async def totals(self) -> dict[Cell, int]:
        """What its intents say was taken: it has no balance, and gives no `amount_received`."""
        intents = await self._all("/v1/payment_intents")
        return sums_of(
            Charge(
                self._account_of(row["currency"]),
                row["id"],
                "",
                Money(row["amount"], row["currency"].upper()),
            )
            for row in intents
            if row["status"] == "succeeded"
        )

    async def export(self, account: str) -> bytes | None:
        """All balance transactions of an account as Stripe's table; None when there are none."""
        operations = await self._operations()
        charges = {row["id"]: row["payment_intent"] for row in await self._all("/v1/charges")}
        taken = [
            _Taken(
                self._account_of(row["currency"]),
                row,
                operations.get(charges.get(row["source"]) or "", ""),
            )
            for row in await self._all("/v1/balance_transactions")
        ]
        mine = [one for one in taken if one.account == account]
        return table(mine) if mine else None

    async def close(self) -> None:
        await self._http.aclose()

    def _account_of(self, currency: str) -> str:
        return self._by_currency.get(currency.upper(), self.accounts[0])

    async def _operations(self) -> dict[str, str]:
        intents = await self._all("/v1/payment_intents")
        return {row["id"]: (row["metadata"] or {}).get(OPERATION_FIELD, "") for row in intents}

    async def _all(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            query: dict[str, Any] = {"limit": PAGE_MAX}
            if rows:
                query["starting_after"] = rows[-1]["id"]
            answer = await self._http.get(path, params=query)
            answer.raise_for_status()
            page = answer.json()
            rows += page["data"]
            if not page["has_more"]:
                return rows


def table(taken: Iterable[_Taken]) -> bytes:
    """The CSV that Stripe exports; amounts in minor units, times in UTC."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in sorted(taken, key=lambda one: (one.row["created"], one.row["id"])):
        moments = {name: _time(one.row[name]) for name in ("available_on", "created")}
        # localstripe says 1.0, Stripe nothing, where no currency was exchanged.
        plain = {"exchange_rate": "", "connected_account_id": "", "payout_id": ""}
        writer.writerow({**one.row, **moments, **plain, "description": one.operation})
    return out.getvalue().encode()


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
