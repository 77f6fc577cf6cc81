"""Make and end bad weather: outages, latency, brownouts, rules, reset."""

from __future__ import annotations

from aiohttp import web

from cashier_sandbox.control.branch import Branch
from cashier_sandbox.domain.chance import LATENCY_MAX_MS, MILLION_PPM, Latency, LatencyKind
from cashier_sandbox.domain.conditions import Brownout, Operation, OutageMode, Rule
from cashier_sandbox.domain.script import (
    BY_AMOUNT,
    TIMES_MAX,
    Verdict,
    behaviour_named,
)
from cashier_sandbox.flows.perform import BROWNOUT_KINDS
from cashier_sandbox.flows.refusals import invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import (
    AMOUNT_MAX_MINOR,
    PAGE_MAX_ITEMS,
    TOKEN_MAX_CHARS,
    Fields,
    json_body,
)

WINDOW_MAX_S = 86_400
_NAMES: dict[LatencyKind, tuple[str, ...]] = {
    LatencyKind.NONE: (),
    LatencyKind.FIXED: ("ms",),
    LatencyKind.UNIFORM: ("low_ms", "high_ms"),
    LatencyKind.LOGNORMAL: ("median_ms", "p99_ms"),
}


async def start_outage(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/accounts/{account}/outage`."""
    fields = Fields(await json_body(request))
    mode = OutageMode(fields.choice("mode", list(OutageMode)))
    for_s, after_s = _seconds(fields, "for_s"), _seconds(fields, "after_s") or 0.0
    fields.end()
    for counter in branch.chosen(request.match_info["account"]):
        await counter.outages.start(mode, after_s=after_s, for_s=for_s)
    return answer({"mode": mode, "after_s": after_s, "for_s": for_s}, status=201)


async def end_outage(branch: Branch, request: web.Request) -> web.Response:
    """`DELETE /control/accounts/{account}/outage`."""
    for counter in branch.chosen(request.match_info["account"]):
        await counter.outages.end_all()
    return answer({"mode": None})


async def put_latency(branch: Branch, request: web.Request) -> web.Response:
    """`PUT /control/accounts/{account}/latency`."""
    body = await json_body(request)
    fields = Fields(body)
    kind = LatencyKind(fields.choice("kind", list(LatencyKind)))
    numbers = [fields.integer(name, least=1, most=LATENCY_MAX_MS) for name in _NAMES[kind]]
    fields.end()
    if numbers != sorted(numbers):
        low, high = _NAMES[kind]
        raise invalid(high, f"{high} must not be below {low}")
    for counter in branch.chosen(request.match_info["account"]):
        counter.desk.conditions.latency = Latency(kind, *numbers)
    return answer(body)


async def put_brownout(branch: Branch, request: web.Request) -> web.Response:
    """`PUT /control/accounts/{account}/brownout`."""
    body = await json_body(request)
    fields = Fields(body)
    ppm = fields.integer("probability_ppm", least=0, most=MILLION_PPM)
    kinds = fields.take("kinds", list(BROWNOUT_KINDS))
    fields.end()
    if not isinstance(kinds, list) or not kinds or not set(kinds) <= set(BROWNOUT_KINDS):
        raise invalid("kinds", f"kinds must be a list of some of {', '.join(BROWNOUT_KINDS)}")
    brownout = Brownout(probability_ppm=ppm, kinds=tuple(kinds)) if ppm else None
    for counter in branch.chosen(request.match_info["account"]):
        counter.desk.conditions.brownout = brownout
    return answer(body)


async def put_rules(branch: Branch, request: web.Request) -> web.Response:
    """`PUT /control/accounts/{account}/rules`."""
    body = await json_body(request)
    fields = Fields(body)
    rows = fields.take("rules")
    fields.end()
    if not isinstance(rows, list) or len(rows) > PAGE_MAX_ITEMS:
        raise invalid("rules", f"rules must be a list of at most {PAGE_MAX_ITEMS} objects")
    for counter in branch.chosen(request.match_info["account"]):
        counter.desk.conditions.rules = [_rule(place, row) for place, row in enumerate(rows)]
    return answer(body)


async def reset(branch: Branch, request: web.Request) -> web.Response:
    """`POST /control/reset`."""
    fields = Fields(await json_body(request))
    ledger = fields.flag("ledger", default=False)
    fields.end()
    for counter in branch.counters.values():
        await counter.outages.end_all()
        counter.desk.conditions.calm()
        if counter.deliveries:
            counter.deliveries.mind()
            if ledger:
                await counter.deliveries.stop()
        counter.desk.tries.clear()
    if ledger:
        branch.ledger.forget_all()
    return answer({"reset": True, "ledger": ledger})


def _rule(place: int, row: object) -> Rule:
    where = f"rules[{place}]"
    if not isinstance(row, dict):
        raise invalid(where, f"{where} must be an object")
    fields = Fields(row)
    name = fields.text("behaviour", most=TOKEN_MAX_CHARS)
    operation = Operation(fields.choice("operation", list(Operation), default="charge"))
    rule_token = fields.text("token", most=TOKEN_MAX_CHARS, default="") or None
    currency = fields.text("currency", most=10, default="") or None
    amounts = [
        fields.integer_if_any(bound, least=0, most=AMOUNT_MAX_MINOR)
        for bound in ("amount_min", "amount_max")
    ]
    ppm = fields.integer_if_any("probability_ppm", least=0, most=MILLION_PPM)
    times = fields.integer_if_any("times", least=1, most=TIMES_MAX)
    fields.end()
    behaviour = behaviour_named(name)
    if behaviour is None:
        other = f"; {BY_AMOUNT} is for tokens alone" if name == BY_AMOUNT else ""
        raise invalid("behaviour", f"{where}: behaviour is not in the sandbox's table{other}")
    only_charge = behaviour.verdict is Verdict.ACTION and operation is not Operation.CHARGE
    no_answer = operation in {
        Operation.CAPTURE,
        Operation.VOID,
        Operation.TOKEN,
        Operation.FILE,
        Operation.AUTHENTICATION,
    }
    if only_charge or (no_answer and not behaviour.is_transport_only):
        raise invalid("behaviour", f"{where}: {name} cannot happen to a {operation}")
    return Rule(
        behaviour=behaviour,
        name=name,
        operation=operation,
        token=rule_token,
        currency=currency,
        amount_min=amounts[0],
        amount_max=amounts[1],
        probability_ppm=ppm,
        times=times,
    )


def _seconds(fields: Fields, name: str) -> float | None:
    value = fields.take(name, None)
    if value is None:
        return None
    if not isinstance(value, bool) and isinstance(value, int | float) and 0 < value <= WINDOW_MAX_S:
        return float(value)
    raise invalid(name, f"{name} must be a number of seconds above 0, at most {WINDOW_MAX_S}")
