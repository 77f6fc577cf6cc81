"""The adapters that the conformance suite runs against, each at a server that can misbehave.

A new adapter joins the suite with one entry in `STANDS`.
"""

import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from cashier_common.ids import operation_name, payment_name
from cashier_common.money import Money
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.ach import end_to_end_id
from cashier_gateway.domain.call import Call, Command, Kind, Request
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.domain.payer import Payer
from cashier_sandbox.processors.imitation import IMITATIONS
from tests.support.gateway_rig import ABLE, MERCHANT, adapter
from tests.support.sandbox_process import Sandbox

CURRENCIES = ("EUR", "JPY", "KWD")
MOVES = {
    Kind.AUTHORIZE: 1250,
    Kind.CAPTURE: 1250,
    Kind.VOID: 0,
    Kind.REFUND: -1250,
    Kind.PAYOUT: -1250,
}
DONE = Event.SUCCEED
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Stand:
    """One adapter in front of one API of the sandbox.

    `later` are the kinds that its processor accepts at once and answers by webhook; `untold` those
    that no webhook of its ends; `terms` is what its account says beside what every account says.
    `finish` lets the processor decide what it would leave open for days, before it can tell.
    `tells_disputes` unless no webhook of its does. `country` and `payer` are of whoever pays,
    where it asks who that is.

    The suites hold it to `kinds` with `method`, over its `assets`, the first of which is its own
    wherever one is as good as another. `key` is how its API says the key of a call.
    """

    name: str
    processor: str
    imitates: str
    later: frozenset[Kind] = frozenset()
    untold: frozenset[Kind] = frozenset()
    terms: Mapping[str, Any] = field(default_factory=dict)
    finish: Callable[["Bench", Call], Awaitable[None]] | None = None
    tells_disputes: bool = True
    country: str = ""
    payer: Payer | None = None
    kinds: tuple[Kind, ...] = tuple(Kind)
    method: str = "CARD"
    assets: tuple[str, ...] = CURRENCIES
    key: Callable[[str], str] = str

    @property
    def tells(self) -> Kind:
        """The kind that begins a payment here, and that its webhooks tell of."""
        return self.kinds[0]

    @property
    def asked(self) -> Money:
        """What is asked for where the amount does not matter: 12.50."""
        return Money(1250, self.assets[0])

    @property
    def webhook_secret(self) -> str:
        """What its processor signs with; empty where it sends no webhooks."""
        return self.secret_of(self.name)

    def secret_of(self, name: str) -> str:
        """A secret in the form that the processor gives it."""
        face = IMITATIONS[self.imitates].notices
        return face.secret(f"of {name}") if face else ""

    def done(self, kind: Kind) -> Event:
        """What a request that succeeds is answered."""
        return Event.PEND if kind in self.later else Event.SUCCEED

    def account(self, port: int, **changes: Any) -> ProcessorAccount:
        """The account in front of a port."""
        facts = {
            "account_id": self.name,
            "processor": self.processor,
            "base_url": f"http://127.0.0.1:{port}",
            "credential": f"test:key-of-{self.name}",
            "webhook_secrets": [f"test:{self.webhook_secret}"] if self.webhook_secret else [],
            "honours_idempotency_keys": True,
            "assets": list(self.assets),
            "fees": {"version": "v1", "percent_bps": 0},
            "settlement_lag_days": 2,
            "capabilities": ABLE,
        }
        return ProcessorAccount.model_validate(facts | dict(self.terms) | changes)


# Its instant payouts (RTP). What travels in files needs their tables: test_gateway_bank*.py.
BANK = Stand(
    name="bank",
    processor="bank",
    imitates="bank",
    kinds=(Kind.PAYOUT,),
    method="RTP",
    assets=("USD",),
    key=end_to_end_id,
    terms={
        "merchant_account": "bank",
        "methods": ["ACH", "RTP"],
        "fees": {"version": "v1", "percent_bps": 0, "fixed": {"USD": 30}},
        "settlement_lag_days": 1,
        "capabilities": {"manual_capture": False, "refund": True, "payout": True},
        "ach": {
            "odfi_routing": "121042882",
            "immediate_destination": "061000146",
            "company_id": "1234567890",
            "company_name": "CASHIER",
            "window_s": 0,
        },
    },
    tells_disputes=False,  # nobody disputes a credit that he was sent
)
STANDS = (
    Stand(name="native", processor="sandbox", imitates="native"),
    Stand(
        name="stripe",
        processor="stripe",
        imitates="stripe",
        untold=frozenset({Kind.CAPTURE, Kind.VOID}),  # it tells what became of their intent
    ),
    Stand(
        name="adyen",
        processor="adyen",
        imitates="adyen",
        later=frozenset(Kind) - {Kind.AUTHORIZE},
        terms={"merchant_account": "adyen"},
    ),
    Stand(
        name="dlocal",
        processor="dlocal",
        imitates="dlocal",
        untold=frozenset({Kind.VOID}),  # it tells that the payment is cancelled
        terms={
            "merchant_account": "dlocal",
            "credential": "test:" + ":".join(["key-of-dlocal"] * 4),
            "payer_required": True,
        },
        tells_disputes=False,  # chargebacks come by file and by people
        country="BR",
        payer=Payer("Maria Silva", "maria@example.com", "529.982.247-25"),
    ),
    BANK,
)
FORMS = [
    pytest.param(stand, kind, id=f"{stand.name}-{kind}") for stand in STANDS for kind in stand.kinds
]
# An adapter at a server that honours no keys has tests of its own: test_gateway_stripe*.py.


def accounts_yaml() -> str:
    """The sandbox's accounts: one for each stand."""
    accounts = [
        {
            "name": stand.name,
            "port": 0,
            "api_key": f"test:key-of-{stand.name}",
            "currencies": list(stand.assets),
            "imitates": stand.imitates,
        }
        for stand in STANDS
    ]
    return yaml.safe_dump({"accounts": accounts})


@dataclass
class Bench:
    """A stand at work: its adapter, calls made by hand, and what the sandbox's ledger says."""

    stand: Stand
    sandbox: Sandbox
    processor: Any = None
    kept: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.processor = self.make()

    @property
    def port(self) -> int:
        return self.sandbox.ports[self.stand.name]

    def make(self, port: int = 0, **changes: Any) -> Any:
        """One more adapter of the account."""
        return adapter(self.stand.account(port or self.port, **changes))

    def call(self, kind: Kind, on: Call | None = None, **asked: Any) -> Call:
        """A call of the kind, on an earlier call of the same payment."""
        amount: Money = asked.pop("amount", on.amount if on else self.stand.asked)
        number = asked.pop("number", 2)
        if on is None:
            payment = payment_name(MERCHANT, f"{time.time_ns()}-{next(_numbers)}")
            operation = operation_name(payment, 1)
            stand = self.stand
            facts = {"token": "tok_ok", "method": stand.method, "customer_country": stand.country}
            asked = facts | asked
        else:
            operation = operation_name(on.operation.rpartition("/operations/")[0], number)
            root = on.request.authorization_reference if on.request else ""
            asked = {
                "target": on.operation,
                "authorization_reference": root or on.reference,
                "target_reference": on.reference,
            } | asked
        request = Request(kind=kind, **asked)
        command = Command(
            MERCHANT, operation, self.stand.name, amount, request, payer=self.stand.payer
        )
        return Call.submitted(command, b"", traceparent="", at=datetime.now(UTC))

    async def ready(self, kind: Kind, **asked: Any) -> Call:
        """A call that can succeed: what it acts on was done before."""
        if kind in {Kind.AUTHORIZE, Kind.PAYOUT}:
            capture = {"capture": True} if kind is Kind.AUTHORIZE else {}
            return self.call(kind, **capture, **asked)
        amount = {"amount": asked["amount"]} if "amount" in asked else {}
        root = self.call(Kind.AUTHORIZE, capture=kind is Kind.REFUND, **amount)
        return self.call(kind, await self.succeeded(root), **asked)

    async def succeeded(self, call: Call) -> Call:
        """The call with the reference that its success brought."""
        answer = await self.send(call)
        assert answer.event is self.stand.done(call.request.kind if call.request else Kind.VOID)
        return replace(call, reference=answer.reference)

    async def send(self, call: Call, processor: Any = None) -> Answer:
        """Send it as a first owner does."""

        async def keep(reference: str) -> None:
            self.kept[call.operation] = reference

        answer: Answer = await (processor or self.processor).send(call, keep)
        return answer

    async def send_again(self, call: Call) -> Answer:
        """Send it as a second owner does, after a crash."""
        kept = self.kept.get(call.operation, "")
        return await self.send(replace(call, lease_epoch=2, reference=kept))

    async def close_door(self, call: Call, processor: Any = None) -> Answer:
        """Close the door of a fenced call."""
        kept = self.kept.get(call.operation, "")
        fenced = replace(call.fenced_off(), reference=kept)
        answer: Answer = await (processor or self.processor).close_door(fenced)
        return answer

    async def moves(self, call: Call) -> list[tuple[int, str]]:
        """What the sandbox's ledger says that happened under the call's key: money and asset."""
        async with self.sandbox.control() as control:
            ledger = await control.get(
                f"/control/ledger?account={self.stand.name}&key={self.stand.key(call.downstream_key)}"
            )
        told = [entry for entry in ledger["entries"] if entry["kind"] in _MOVING]
        return [(entry["moved"], entry["currency"]) for entry in told]

    async def rule(self, call: Call, behaviour: str, times: int = 1) -> None:
        """Let the next requests of the call's kind at this account misbehave."""
        kind = call.request.kind if call.request else Kind.AUTHORIZE
        operation = "charge" if kind is Kind.AUTHORIZE else kind.value
        rule = {"behaviour": behaviour, "operation": operation, "times": times}
        async with self.sandbox.control() as control:
            path = f"/control/accounts/{self.stand.name}/rules"
            status, body, _ = await control.ask("PUT", path, {"rules": [rule]})
        assert status == 200, body

    async def close(self) -> None:
        await self.processor.close()


_MOVING = {"charge", "capture", "void", "refund", "payout", "resolve"}
