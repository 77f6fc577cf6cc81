"""The routes of the control API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from cashier_sandbox.checkout.api import routes as checkout_routes
from cashier_sandbox.control import ach, bank, issuer, notices, truth, weather
from cashier_sandbox.control.branch import Branch
from cashier_sandbox.processors.native.read import settlement_file

Handler = Callable[[Branch, web.Request], Awaitable[web.Response]]


def routes(branch: Branch) -> list[web.RouteDef]:
    """Return every route of the control port."""

    def bound(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def call(request: web.Request) -> web.Response:
            return await handler(branch, request)

        return call

    async def file(_: Branch, request: web.Request) -> web.Response:
        desk = branch.counter(request.match_info["account"]).desk
        return settlement_file(desk, request, branch.files)

    account, charge = "/control/accounts/{account}", "/control/charges/{id}"
    return [
        web.get("/health", bound(truth.get_health)),
        web.get("/control/accounts", bound(truth.get_accounts)),
        web.get("/control/ledger", bound(truth.get_ledger)),
        web.get("/control/ledger/summary", bound(truth.get_summary)),
        web.post(f"{account}/outage", bound(weather.start_outage)),
        web.delete(f"{account}/outage", bound(weather.end_outage)),
        web.put(f"{account}/latency", bound(weather.put_latency)),
        web.put(f"{account}/brownout", bound(weather.put_brownout)),
        web.put(f"{account}/rules", bound(weather.put_rules)),
        web.post(f"{account}/settlements", bound(truth.post_settlement)),
        web.get(f"{account}/settlements/{{id}}/file", bound(file)),
        web.post(
            "/control/{collection:charges|refunds|payouts}/{id}/resolve", bound(truth.post_resolve)
        ),
        web.post(f"{charge}/pay_late", bound(truth.post_late_payment)),
        web.post(f"{charge}/external_refund", bound(truth.post_external_refund)),
        web.post(f"{charge}/chargeback", bound(truth.post_chargeback)),
        web.post("/control/chargebacks/{id}/resolve", bound(truth.post_dispute)),
        web.post("/control/chargebacks/{id}/escalate", bound(bank.post_next_stage)),
        web.post("/control/chargebacks/{id}/evidence", bound(bank.post_evidence)),
        web.post(f"{charge}/fraud_report", bound(bank.post_fraud)),
        web.post(f"{account}/endpoints", bound(notices.post_endpoint)),
        web.delete(f"{account}/endpoints/{{id}}", bound(notices.delete_endpoint)),
        web.get(f"{account}/notices", bound(notices.get_notices)),
        web.put(f"{account}/notices", bound(notices.put_mischief)),
        web.post(f"{account}/notices", bound(notices.resend)),
        web.post("/control/{what:captures|refunds|payouts}/{id}/fail", bound(bank.post_failure)),
        web.post(f"{charge}/request_for_information", bound(bank.post_question)),
        web.post(f"{account}/ach/settle", bound(ach.post_settle)),
        web.post(f"{account}/ach/plans", bound(ach.post_plan)),
        web.post("/control/authentications/{id}/result", bound(issuer.post_result)),
        web.post("/control/reset", bound(weather.reset)),
        *checkout_routes(),
    ]
