"""`cashier.crypto.v1.CryptoRailService`: what is particular to chains."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn, Protocol

from cashier.crypto.v1 import crypto_rail_service_pb2 as api
from cashier.crypto.v1 import crypto_rail_service_pb2_grpc, transfer_pb2
from cashier_common.errors import NotServed, ResourceNotFound
from cashier_common.rpc.paging import Pager
from cashier_common.rpc.record import Verify, verify_audit_log
from cashier_crypto.domain.lifecycle import State
from cashier_crypto.domain.transfer import Transfer
from cashier_crypto.rpc import codec

METHOD: Final = "ListTransfers"
_STATES: Final = transfer_pb2.Transfer.State


class Transfers(Protocol):
    """Deposits, to be shown."""

    async def one(self, merchant: str, name: str) -> Transfer | None:
        """One deposit of a merchant."""

    async def listed(
        self,
        merchant: str,
        *,
        states: list[str] | None,
        before: tuple[datetime, str] | None,
        count: int,
    ) -> list[Transfer]:
        """Deposits newest first, behind the one with this time and name."""

    async def height(self, chain: str) -> int:
        """Up to which block the chain was read."""


@dataclass(frozen=True)
class CryptoRailServicer(crypto_rail_service_pb2_grpc.CryptoRailServiceServicer):
    """Methods that later issues bring answer NOT_SERVED."""

    transfers: Transfers
    verify: Verify
    pager: Pager

    async def GetTransfer(
        self, request: api.GetTransferRequest, context: Any
    ) -> transfer_pb2.Transfer:
        found = await self.transfers.one(request.merchant, request.name)
        if found is None:
            raise ResourceNotFound(request.name)
        return codec.transfer_to_proto(found, await self.transfers.height(found.chain))

    async def ListTransfers(
        self, request: api.ListTransfersRequest, context: Any
    ) -> api.ListTransfersResponse:
        wanted = sorted({_STATES.Name(state).removeprefix("STATE_") for state in request.states})
        bound_to = (METHOD, request.merchant, *wanted)
        page = self.pager.read(
            page_size=request.page_size, page_token=request.page_token, bound_to=bound_to
        )
        before = None
        if page.after is not None:
            before = (datetime.fromisoformat(str(page.after[0])), str(page.after[1]))
        # Withdrawals have states that no deposit has: asking for those alone finds nothing.
        states = [state for state in wanted if state in State.__members__] if wanted else None
        found = await self.transfers.listed(
            request.merchant, states=states, before=before, count=page.size + 1
        )
        heights = {t.chain: await self.transfers.height(t.chain) for t in found}
        token = ""
        if len(found) > page.size:
            last = found[page.size - 1]
            token = self.pager.token((last.created_at.isoformat(), last.name), bound_to=bound_to)
        return api.ListTransfersResponse(
            transfers=[codec.transfer_to_proto(t, heights[t.chain]) for t in found[: page.size]],
            next_page_token=token,
        )

    async def VerifyAuditLog(
        self, request: api.VerifyAuditLogRequest, context: Any
    ) -> api.VerifyAuditLogResponse:
        return await verify_audit_log(request, self.verify, api.VerifyAuditLogResponse)

    async def CreateDeposit(self, request: object, context: object) -> NoReturn:
        raise NotServed("CreateDeposit")

    async def CreateRampSession(self, request: object, context: object) -> NoReturn:
        raise NotServed("CreateRampSession")

    async def SubmitTravelRule(self, request: object, context: object) -> NoReturn:
        raise NotServed("SubmitTravelRule")

    async def ScreenDestination(self, request: object, context: object) -> NoReturn:
        raise NotServed("ScreenDestination")
