"""What the processors themselves say was moved: asked over their own APIs, never of our tables."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import orjson

from cashier_mesh.supervisor import Mesh

LOCALSTRIPE = "localstripe"
LOCALSTRIPE_KEY = "sk_test_localstripe"
STRIPE_PAGE_SIZE = 100
SANDBOX_PAGE_SIZE = 10_000
OPERATION_FIELD = "cashier_operation"
# Kinds of ledger entries that we asked for; what a processor takes back by itself is another story.
MOVING_KINDS = frozenset({"charge", "capture", "resolve", "refund", "payout"})


@dataclass(frozen=True)
class Move:
    """Money that a processor moved for the operation that it was told; out is negative."""

    place: str  # an account of the sandbox, or `localstripe`, whose accounts share one book
    move_id: str
    operation: str
    minor: int
    asset: str


@dataclass(frozen=True)
class Trace:
    """Anything that a processor keeps of an operation, whether it moved money or not."""

    place: str
    operation: str


def place_of(account: str) -> str:
    """In whose book a processor account's charges are found."""
    return LOCALSTRIPE if account.startswith(LOCALSTRIPE) else account


class Processors:
    """The sandbox and, where it is installed, localstripe."""

    def __init__(self, mesh: Mesh) -> None:
        self._sandbox = mesh.peer_urls["sandbox"]
        self._control = (mesh.config.data_dir / "sandbox" / "control.token").read_text().strip()
        self._stripe = mesh.peer_urls.get(LOCALSTRIPE)
        self._cards: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def has_stripe(self) -> bool:
        return self._stripe is not None

    async def card(self, account: str) -> str:
        """A token for a card that works there."""
        if place_of(account) != LOCALSTRIPE:
            return "tok_ok"
        if LOCALSTRIPE not in self._cards:
            form = {
                "type": "card", "card[number]": "4242424242424242", "card[exp_month]": "12",
                "card[exp_year]": "2030", "card[cvc]": "123",
            }  # fmt: skip
            method = await self.stripe("POST", "/v1/payment_methods", form)
            self._cards[LOCALSTRIPE] = str(method["id"])
        return self._cards[LOCALSTRIPE]

    async def moves(self) -> list[Move]:
        """Every movement of money, at every processor."""
        return [*await self._sandbox_moves(), *await self._stripe_moves()]

    async def moves_of(self, *payments: str) -> list[Move]:
        """The movements of some payments."""
        wanted = set(payments)
        return [c for c in await self.moves() if c.operation.split("/operations/")[0] in wanted]

    async def traces(self) -> list[Trace]:
        """Everything that bears the name of an operation, declined and unconfirmed included."""
        found = [Trace(e["account"], e["reference"] or "") for e in await self._entries("false")]
        intents = await self._stripe_list("/v1/payment_intents") if self.has_stripe else []
        return found + [Trace(LOCALSTRIPE, _operation(intent)) for intent in intents]

    async def holds(self) -> list[Trace]:
        """What is authorized at the sandbox and neither taken nor released to the end."""
        held: dict[str, Trace] = {}
        waiting: dict[str, Trace] = {}
        for entry in await self._entries("false"):
            detail, trace = entry["detail"], Trace(entry["account"], entry["reference"] or "")
            match entry["kind"]:
                case "charge" if detail["status"] == "authorized":
                    held[entry["id"]] = trace
                case "charge" if not detail["capture"]:
                    waiting[entry["id"]] = trace
                case "resolve" if entry["id"] in waiting and detail["decline"] is None:
                    held[entry["id"]] = waiting[entry["id"]]
                case "void":
                    held.pop(entry["charge"], None)
                case "capture" if detail["final"]:
                    held.pop(entry["charge"], None)
        return list(held.values())

    async def stripe(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Any:
        """One request to localstripe as a merchant sends it."""
        headers = {"Authorization": f"Bearer {LOCALSTRIPE_KEY}"}
        async with self._session.request(
            method, f"{self._stripe}{path}", data=form, headers=headers
        ) as response:
            body = await response.json()
            assert response.status < 300, body
            return body

    async def charge_by_hand(self, account: str, operation: str, minor: int) -> str:
        """Take money at the sandbox behind everybody's back; the charge's id."""
        accounts = (await self._sandbox_get("/control/accounts"))["accounts"]
        port = next(known["port"] for known in accounts if known["name"] == account)
        headers = {
            "Authorization": f"Bearer sk_{account.replace('-', '_')}",
            "Idempotency-Key": f"by-hand-{operation[-40:]}",
        }
        body = {"amount": minor, "currency": "USD", "token": "tok_ok", "reference": operation}
        async with self._session.post(
            f"http://127.0.0.1:{port}/v1/charges", json=body, headers=headers
        ) as response:
            answer = await response.json()
            assert response.status == 201, answer
            return str(answer["id"])

    @asynccontextmanager
    async def rules(self, account: str, *rules: Mapping[str, Any]) -> AsyncIterator[None]:
        """What the sandbox does to matching requests meanwhile."""
        path = f"/control/accounts/{account}/rules"
        await self._sandbox_send("PUT", path, {"rules": rules})
        try:
            yield
        finally:
            await self._sandbox_send("PUT", path, {"rules": []})

    @asynccontextmanager
    async def lost_charge(self, account: str) -> AsyncIterator[None]:
        """The next charge happens, its answer is lost, and nobody can ask until this ends."""
        rule = {"behaviour": "lost_answer", "operation": "charge", "times": 1}
        outage = f"/control/accounts/{account}/outage"
        async with self.rules(account, rule):
            await self._sandbox_send("POST", outage, {"mode": "lost_answer"})
            try:
                yield
            finally:
                await self._sandbox_send("DELETE", outage, None)

    async def chargeback(self, charge: str, minor: int) -> None:
        """Do as the bank of a customer who takes a charge back."""
        await self._sandbox_send("POST", f"/control/charges/{charge}/chargeback", {"amount": minor})

    async def waiting(self, operation: str, action: str, body: Mapping[str, Any]) -> None:
        """Let the payer of a code or voucher do something: `resolve` with a body, or `pay_late`."""
        path = f"/control/ledger?reference={operation}&kind=charge"
        (entry,) = (await self._sandbox_get(path))["entries"]
        await self._sandbox_send("POST", f"/control/charges/{entry['id']}/{action}", body)

    async def ask_about(self, charge: str) -> str:
        """Do as a customer's bank that asks; the name of the dispute."""
        path = f"/control/charges/{charge}/request_for_information"
        entry = await self._sandbox_send("POST", path, {})
        return str(entry["id"])

    async def go_on_with(self, dispute: str, what: str, **body: str) -> None:
        """`escalate`, `evidence` or `resolve` a dispute."""
        await self._sandbox_send("POST", f"/control/chargebacks/{dispute}/{what}", body)

    async def moved_of(self, charge: str) -> list[int]:
        """Everything that moved because of a charge, in order, whoever wanted it."""
        entries = await self._entries("true")
        return [e["moved"] for e in entries if charge in (e["charge"], e["id"])]

    async def approve(self, url: str) -> None:
        """Do as the payer who opens the page and agrees."""
        async with self._session.post(url, json={"outcome": "approve"}) as response:
            assert response.status < 300, await response.text()

    async def _sandbox_moves(self) -> list[Move]:
        return [
            Move(
                place=entry["account"],
                move_id=(entry["charge"] if entry["kind"] == "charge" else "") or entry["id"],
                operation=entry["reference"] or "", minor=entry["moved"], asset=entry["currency"],
            )
            for entry in await self._entries("true")
            if entry["kind"] in MOVING_KINDS
        ]  # fmt: skip

    async def _stripe_moves(self) -> list[Move]:
        if not self.has_stripe:
            return []
        intents = await self._stripe_list("/v1/payment_intents")
        operations = {intent["id"]: _operation(intent) for intent in intents}
        charges = [
            Move(
                place=LOCALSTRIPE, move_id=charge["id"],
                operation=operations.get(charge["payment_intent"]) or _operation(charge),
                minor=charge["amount"], asset=charge["currency"].upper(),
            )
            for charge in await self._stripe_list("/v1/charges")
            if charge["status"] == "succeeded" and charge["captured"]
        ]  # fmt: skip
        refunds = [
            Move(
                place=LOCALSTRIPE, move_id=refund["id"], operation=_operation(refund),
                minor=-refund["amount"], asset=refund["currency"].upper(),
            )
            for refund in await self._stripe_list("/v1/refunds")
            if refund["status"] == "succeeded"
        ]  # fmt: skip
        return charges + refunds

    async def _stripe_list(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            after = f"&starting_after={found[-1]['id']}" if found else ""
            page = await self.stripe("GET", f"{path}?limit={STRIPE_PAGE_SIZE}{after}")
            found += page["data"]
            if not page["has_more"]:
                return found

    async def _entries(self, moved: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = await self._sandbox_get(
                f"/control/ledger?moved={moved}&limit={SANDBOX_PAGE_SIZE}&after={after}"
            )
            found += page["entries"]
            if not page["has_more"]:
                return found
            after = page["next_after"]

    async def _sandbox_send(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._control}"}
        async with self._session.request(
            method, f"{self._sandbox}{path}", json=body, headers=headers
        ) as response:
            text = await response.text()
            assert response.status < 300, text
            return orjson.loads(text) if text else None

    async def _sandbox_get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self._control}"}
        async with self._session.get(f"{self._sandbox}{path}", headers=headers) as response:
            body = await response.json()
            assert response.status == 200, body
            return body


def _operation(resource: Mapping[str, Any]) -> str:
    return str((resource["metadata"] or {}).get(OPERATION_FIELD, ""))
