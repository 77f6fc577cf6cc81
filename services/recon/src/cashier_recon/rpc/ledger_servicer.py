"""LedgerService: balances and entries of the books."""

from collections import defaultdict

import grpc.aio

from cashier.common.v1 import money_pb2
from cashier.recon.v1 import ledger_service_pb2 as api
from cashier.recon.v1 import ledger_service_pb2_grpc
from cashier_common.rpc.paging import Pager
from cashier_recon.flows.reports import EntryFilter, Reports
from cashier_recon.rpc.codec import balance_message, entry_message, time_of

Context = grpc.aio.ServicerContext[object, object]


class LedgerServicer(ledger_service_pb2_grpc.LedgerServiceServicer):
    """Translates; the reports read."""

    def __init__(self, reports: Reports, pager: Pager) -> None:
        self._reports = reports
        self._pager = pager

    async def GetBalances(
        self, request: api.GetBalancesRequest, context: Context
    ) -> api.GetBalancesResponse:
        """Balances of accounts."""
        del context
        balances = await self._reports.balances(
            account=request.account, owner=request.owner, as_of=time_of(request, "as_of_time")
        )
        return api.GetBalancesResponse(balances=map(balance_message, balances))

    async def ListEntries(
        self, request: api.ListEntriesRequest, context: Context
    ) -> api.ListEntriesResponse:
        """Entries, newest first."""
        del context
        bound_to = ("entries", request.payment, request.account, request.owner)
        page = self._pager.read(
            page_size=request.page_size, page_token=request.page_token, bound_to=bound_to
        )
        wanted = EntryFilter(payment=request.payment, account=request.account, owner=request.owner)
        found = await self._reports.entries(wanted, after=page.after, size=page.size)
        shown, token = found[: page.size], ""
        if len(found) > page.size:
            last = shown[-1]
            key = (last.book_time.isoformat(), last.journal_id, last.leg)
            token = self._pager.token(key, bound_to=bound_to)
        return api.ListEntriesResponse(entries=map(entry_message, shown), next_page_token=token)

    async def GetTrialBalance(
        self, request: api.GetTrialBalanceRequest, context: Context
    ) -> api.GetTrialBalanceResponse:
        """All balances; their sum per asset is zero."""
        del context
        as_of = time_of(request, "as_of_time")
        balances = await self._reports.balances(account="", owner="", as_of=as_of)
        sums: dict[str, int] = defaultdict(int)
        for balance in balances:
            sums[balance.asset] += balance.amount
        return api.GetTrialBalanceResponse(
            balances=map(balance_message, balances),
            sums=[
                money_pb2.Money(minor=minor, asset_code=asset)
                for asset, minor in sorted(sums.items())
            ],
        )
