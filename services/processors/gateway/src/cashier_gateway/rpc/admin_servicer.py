"""`cashier.gateway.v1.GatewayAdminService`: the inbox, and the proof of the record."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cashier.gateway.v1 import gateway_admin_service_pb2 as api
from cashier.gateway.v1 import gateway_admin_service_pb2_grpc, notice_pb2
from cashier_common.errors import ResourceNotFound
from cashier_common.rpc.call import current_call
from cashier_common.rpc.paging import Page, Pager
from cashier_common.rpc.record import Verify, verify_audit_log
from cashier_gateway.flows.handle_notice import HandleNotice, Take, Verb, handle_notice
from cashier_gateway.flows.notice_desk import Desk, due_of
from cashier_gateway.flows.ports import Origin
from cashier_gateway.rpc.notice_codec import letter_to_proto, to_command, to_filter

OPERATOR_PREFIX: Final = "operator/"


@dataclass(frozen=True)
class GatewayAdminServicer(gateway_admin_service_pb2_grpc.GatewayAdminServiceServicer):
    """Translates; the flows decide."""

    desk: Desk
    take: Take
    verify: Verify
    pager: Pager

    async def ListNotices(
        self, request: api.ListNoticesRequest, context: Any
    ) -> api.ListNoticesResponse:
        wanted = to_filter(request)
        asked = api.ListNoticesRequest()
        asked.CopyFrom(request)
        asked.ClearField("page_size")
        asked.ClearField("page_token")
        bound_to = ("ListNotices", asked.SerializeToString(deterministic=True).hex())
        page = self.pager.read(
            page_size=request.page_size, page_token=request.page_token, bound_to=bound_to
        )
        found = await self.desk.page(wanted, _after(page), page.size + 1)
        shown, token = found[: page.size], ""
        if len(found) > page.size:
            last = shown[-1]
            key = (last.received_at.isoformat(), last.due.account, last.due.event_id)
            token = self.pager.token(key, bound_to=bound_to)
        return api.ListNoticesResponse(
            notices=[letter_to_proto(letter) for letter in shown], next_page_token=token
        )

    async def GetNotice(self, request: api.GetNoticeRequest, context: Any) -> notice_pb2.Notice:
        due = due_of(request.name)
        letter = None if due is None else await self.desk.find(due)
        if letter is None:
            raise ResourceNotFound(name=request.name)
        return letter_to_proto(letter)

    async def ReprocessNotice(
        self, request: api.ReprocessNoticeRequest, context: Any
    ) -> notice_pb2.Notice:
        return await self._handle(to_command(Verb.REPROCESS, request, _key()))

    async def DismissNotice(
        self, request: api.DismissNoticeRequest, context: Any
    ) -> notice_pb2.Notice:
        return await self._handle(to_command(Verb.DISMISS, request, _key()))

    async def VerifyAuditLog(
        self, request: api.VerifyAuditLogRequest, context: Any
    ) -> api.VerifyAuditLogResponse:
        return await verify_audit_log(request, self.verify, api.VerifyAuditLogResponse)

    async def _handle(self, command: HandleNotice) -> notice_pb2.Notice:
        call = current_call()
        actor = f"{OPERATOR_PREFIX}{command.operator} by {call.caller}"
        origin = Origin(actor, call.traceparent)
        return letter_to_proto(await handle_notice(command, self.desk, origin, self.take))


def _key() -> str:
    return current_call().idempotency_key or ""


def _after(page: Page) -> tuple[datetime, str, str] | None:
    if page.after is None:
        return None
    at, account, event = page.after
    return datetime.fromisoformat(str(at)), str(account), str(event)
