"""Ask what really happened, and make the processor do what merchants cannot ask for."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from aiohttp import web

from cashier_sandbox.control.branch import Branch
from cashier_sandbox.domain.declines import DECLINES, EXPIRED
from cashier_sandbox.domain.dispute import DisputeStatus
from cashier_sandbox.domain.entry import Entry, Kind
from cashier_sandbox.flows.issue_settlement import issue_settlement
from cashier_sandbox.flows.refusals import invalid
from cashier_sandbox.flows.resolve import pay_late, resolve
from cashier_sandbox.flows.take_back import charge_back, close_dispute, refund_externally
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import (
    AMOUNT_MAX_MINOR,
    KEY_MAX_CHARS,
    REFERENCE_MAX_CHARS,
    TOKEN_MAX_CHARS,
    Fields,
    json_body,
    query_of,
)
from cashier_sandbox.processors.native.read import first_after
from cashier_sandbox.processors.native.wire import (
    chargeback_json,
    refund_json,
    resource_json,
    settlement_json,
)
from cashier_sandbox.settlement.batch import Mistakes

LEDGER_PAGE_MAX = 10_000
LEDGER_PAGE_DEFAULT = 1_000
ANOMALY_MAX = 10_000
SEED_MAX = 2**53
# The longest key that any imitated API takes: Stripe's.
LEDGER_KEY_MAX_CHARS = 255


async def get_ledger(branch: Branch, request: web.Request) -> web.Response:
    """`GET /control/ledger`."""
    query = query_of(request)
    account = query.text("account", most=KEY_MAX_CHARS, default="")
    wanted = {
        "kind": query.choice("kind", list(Kind), default=""),
        "reference": query.text("reference", most=REFERENCE_MAX_CHARS, default=""),
        "charge": query.text("charge", most=TOKEN_MAX_CHARS, default=""),
        "key": query.text("key", most=LEDGER_KEY_MAX_CHARS, default=""),
    }
    moved = query.choice("moved", {"true", "false"}, default="false") == "true"
    after = query.number("after", default=0)
    limit = query.number("limit", default=LEDGER_PAGE_DEFAULT)
    query.end()
    if not 1 <= limit <= LEDGER_PAGE_MAX:
        raise invalid("limit", f"limit must be from 1 to {LEDGER_PAGE_MAX}")
    entries = _entries(branch, account)
    asked = [(name, value) for name, value in wanted.items() if value]
    found = list(
        islice(
            (
                entry
                for entry in islice(entries, first_after(entries, after), None)
                if (not moved or entry.moved)
                and all(getattr(entry, name) == value for name, value in asked)
            ),
            limit + 1,
        )
    )
    more, shown = len(found) > limit, found[:limit]
    return answer(
        {
            "entries": [entry.as_dict() for entry in shown],
            "has_more": more,
            "next_after": shown[-1].seq if more else None,
        }
    )


async def get_summary(branch: Branch, request: web.Request) -> web.Response:
    """`GET /control/ledger/summary`."""
    query = query_of(request)
    account = query.text("account", most=KEY_MAX_CHARS, default="*")
    query.end()
    bodies: dict[str, Any] = {}
    for counter in branch.chosen(account):
        book = counter.desk.book
        bodies[counter.desk.account.name] = {
            "currencies": {name: asdict(sums) for name, sums in sorted(book.totals.items())},
            "entries": dict(Count(entry.kind for entry in book.entries)),
            "charges": dict(Count(charge.status for charge in book.charges.values())),
            "unsettled_movements": len(book.movements) - book.settled_count,
        }
    return answer({"accounts": bodies})


async def get_accounts(branch: Branch, _: web.Request) -> web.Response:
    """`GET /control/accounts`."""
    return answer({"accounts": [_account(branch, name) for name in branch.counters]})


async def post_resolve(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/charges|refunds|payouts/{id}/resolve`."""
    fields = Fields(await json_body(request))
    outcome = fields.choice("outcome", {"succeed", "decline"})
    code = fields.choice("code", {*DECLINES, EXPIRED}, default="generic_decline")
    fields.end()
    desk = branch.holder(request.match_info["id"])
    decline = code if outcome == "decline" else None
    resource = resolve(desk, request.match_info["id"], decline=decline)
    return answer(resource_json(desk, resource))


async def post_late_payment(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/charges/{id}/pay_late`."""
    Fields(await json_body(request)).end()
    desk = branch.holder(request.match_info["id"])
    return answer(resource_json(desk, pay_late(desk, request.match_info["id"])))


async def post_external_refund(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/charges/{id}/external_refund`."""
    fields = Fields(await json_body(request))
    amount = fields.integer_if_any("amount", least=1, most=AMOUNT_MAX_MINOR)
    fields.end()
    name = request.match_info["id"]
    refund = refund_externally(branch.holder(name), name, amount=amount)
    return answer(refund_json(refund), status=201)


async def post_chargeback(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/charges/{id}/chargeback`."""
    fields = Fields(await json_body(request))
    amount = fields.integer_if_any("amount", least=1, most=AMOUNT_MAX_MINOR)
    reason = fields.text("reason", most=KEY_MAX_CHARS, default="fraudulent")
    fields.end()
    name = request.match_info["id"]
    chargeback = charge_back(branch.holder(name), name, amount=amount, reason=reason)
    return answer(chargeback_json(chargeback), status=201)


async def post_dispute(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/chargebacks/{id}/resolve`."""
    fields = Fields(await json_body(request))
    outcome = fields.choice("outcome", {"win", "lose"})
    fields.end()
    name = request.match_info["id"]
    status = DisputeStatus.WON if outcome == "win" else DisputeStatus.LOST
    return answer(chargeback_json(close_dispute(branch.dispute_holder(name), name, status)))


async def post_settlement(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/accounts/{account}/settlements`."""
    fields = Fields(await json_body(request))
    wanted = fields.take("anomalies", {})
    seed = fields.integer("seed", least=0, most=SEED_MAX, default=branch.seed)
    fields.end()
    if not isinstance(wanted, dict):
        raise invalid("anomalies", "anomalies must be an object of numbers")
    numbers = Fields(wanted)
    counts = {
        kind: numbers.integer(kind, least=0, most=ANOMALY_MAX, default=0)
        for kind in Mistakes.__dataclass_fields__
    }
    numbers.end()
    desk = branch.counter(request.match_info["account"]).desk
    entry = issue_settlement(desk, Mistakes(**counts), branch.files, seed=seed, now=branch.now)
    return answer(settlement_json(entry, anomalies=True), status=201)


async def get_health(branch: Branch, _: web.Request) -> web.Response:
    """`GET /health`."""
    return answer(
        {
            "status": "serving",
            "control_port": branch.control.port if branch.control else None,
            "accounts": {
                name: {
                    "port": counter.listener.port,
                    "outage": counter.desk.conditions.outage,
                }
                for name, counter in branch.counters.items()
            },
        }
    )


def _entries(branch: Branch, account: str) -> Sequence[Entry]:
    return branch.counter(account).desk.book.entries if account else branch.ledger.entries


def _account(branch: Branch, name: str) -> dict[str, Any]:
    counter = branch.counters[name]
    account, conditions = counter.desk.account, counter.desk.conditions
    latency = conditions.latency
    return {
        "name": name,
        "imitates": account.imitates,
        "port": counter.listener.port,
        "currencies": sorted(account.currencies),
        "fees": asdict(account.fees),
        "settlement_format": account.settlement_format,
        "outage": conditions.outage,
        "latency": {"kind": latency.kind, "ms": [latency.first_ms, latency.second_ms]},
        "brownout_ppm": conditions.brownout.probability_ppm if conditions.brownout else 0,
        "rules": [
            {"behaviour": rule.name, "operation": rule.operation, "times": rule.times}
            for rule in conditions.rules
        ],
    }
