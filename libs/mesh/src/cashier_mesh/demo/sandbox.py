"""Speaks to the sandbox: as its merchant, who asks what was charged, and as its operator."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from cashier_common.money import Money
from cashier_mesh.demo.agreement import Cell, Charge
from cashier_mesh.demo.ground import Account
from cashier_mesh.errors import MeshError

PAGE_MAX = 100
LEDGER_PAGE_MAX = 10_000
TIMEOUT_S = 30.0
NOTHING_TO_SETTLE = "nothing_to_settle"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A mistake that the sandbox put into a file on purpose; `source` is a charge of the file."""

    account: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class SettlementFile:
    """A settlement as the account's merchant gets it."""

    account: str
    name: str
    content: bytes


class Merchant:
    """One account of the sandbox, asked with the account's own key."""

    def __init__(self, account: Account) -> None:
        self.account = account.account_id
        self._http = _client(account.url, account.key)

    async def charges(self) -> list[Charge]:
        """Every charge that took money, oldest first."""
        return [
            Charge(
                account=self.account,
                charge_id=row["id"],
                operation=row["reference"],
                amount=Money(row["amount_captured"], row["currency"]),
            )
            async for row in self._all("/v1/charges")
            if row["amount_captured"]
        ]

    async def totals(self) -> dict[Cell, int]:
        """What the account's balance says was charged, per currency."""
        balance = await _got(self._http, "/v1/balance")
        return {
            (self.account, currency): sums["charged"]
            for currency, sums in balance["currencies"].items()
            if sums["charged"]
        }

    async def settlement_files(self) -> list[SettlementFile]:
        """Every file that the account was given so far."""
        files = []
        async for row in self._all("/v1/settlements"):
            answer = await self._http.get(f"/v1/settlements/{row['id']}/file")
            answer.raise_for_status()
            files.append(SettlementFile(self.account, row["file_name"], answer.content))
        return files

    async def close(self) -> None:
        await self._http.aclose()

    async def _all(self, path: str) -> AsyncIterator[dict[str, Any]]:
        after = None
        while True:
            query: dict[str, Any] = {"limit": PAGE_MAX} | ({"after": after} if after else {})
            page = await _got(self._http, path, query)
            for row in page["data"]:
                yield row
            after = page["next_cursor"]
            if not page["has_more"]:
                return


class Operator:
    """The sandbox's control API."""

    def __init__(self, url: str, token: str) -> None:
        self._http = _client(url, token)

    async def begin_outage(self, account: str) -> None:
        """Refuse every connection to the account from now on, and cut those that are open."""
        await self._post(f"/control/accounts/{account}/outage", {"mode": "refuse"})

    async def end_outage(self, account: str) -> None:
        """Take connections again."""
        (await self._http.delete(f"/control/accounts/{account}/outage")).raise_for_status()

    async def settle(self, account: str, anomalies: Mapping[str, int]) -> bool:
        """Issue a settlement with these mistakes; False when nothing moved since the last one."""
        path = f"/control/accounts/{account}/settlements"
        answer = await self._http.post(path, json={"anomalies": dict(anomalies)})
        if answer.status_code == httpx.codes.CONFLICT and NOTHING_TO_SETTLE in answer.text:
            return False
        _require_good(answer)
        return True

    async def anomalies(self) -> list[Anomaly]:
        """Every mistake in every file that was ever issued here."""
        found: list[Anomaly] = []
        after = 0
        while True:
            query = {"kind": "settlement", "after": after, "limit": LEDGER_PAGE_MAX}
            page = await _got(self._http, "/control/ledger", query)
            for entry in page["entries"]:
                found += [
                    Anomaly(entry["account"], made["kind"], made["source"])
                    for made in entry["detail"]["anomalies"]
                ]
            if not page["has_more"]:
                return found
            after = page["next_after"]

    async def unsettled(self, account: str) -> int:
        """How many charges took money at the account since its last settlement."""
        count, after = 0, 0
        while True:
            query = {"account": account, "after": after, "limit": LEDGER_PAGE_MAX}
            page = await _got(self._http, "/control/ledger", query)
            for entry in page["entries"]:
                if entry["kind"] == "settlement":
                    count = 0
                elif entry["moved"] > 0:
                    count += 1
            if not page["has_more"]:
                return count
            after = page["next_after"]

    async def close(self) -> None:
        await self._http.aclose()

    async def _post(self, path: str, body: Mapping[str, Any]) -> None:
        _require_good(await self._http.post(path, json=body))


def _client(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=TIMEOUT_S,
        trust_env=False,  # a proxy has no business between two processes of one machine
    )


async def _got(
    http: httpx.AsyncClient, path: str, query: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    answer = await http.get(path, params=query)
    _require_good(answer)
    found: dict[str, Any] = answer.json()
    return found


def _require_good(answer: httpx.Response) -> None:
    if answer.is_error:
        raise MeshError(
            f"{answer.request.method} {answer.request.url} answered {answer.status_code}: "
            f"{answer.text[:300]}"
        )
