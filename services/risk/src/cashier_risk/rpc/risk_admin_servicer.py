"""Serves `RiskAdminService`: reading and replaying assessments, and the proof of the record."""

from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc.aio

from cashier.risk.v1 import assessment_pb2, risk_admin_service_pb2_grpc
from cashier.risk.v1 import risk_admin_service_pb2 as admin
from cashier_common.errors import NotServed
from cashier_common.rpc.record import Verify, verify_audit_log
from cashier_risk.flows.ports import Desk
from cashier_risk.flows.replay_assessment import get_assessment, replay_assessment
from cashier_risk.rpc.answers import assessment_message

Context = grpc.aio.ServicerContext[Any, Any]


class RiskAdminServicer(risk_admin_service_pb2_grpc.RiskAdminServiceServicer):
    """Translates; the flows decide. Parties, lists, cases and limits are not served yet."""

    def __init__(self, desk: Desk, verify: Verify) -> None:
        self._desk = desk
        self._verify = verify

    async def GetAssessment(
        self, request: admin.GetAssessmentRequest, context: Context
    ) -> assessment_pb2.Assessment:
        """An assessment as it was made."""
        del context
        found = await get_assessment(request.name, self._desk, merchant=request.merchant)
        return assessment_message(found)

    async def ReplayAssessment(
        self, request: admin.ReplayAssessmentRequest, context: Context
    ) -> admin.ReplayAssessmentResponse:
        """The decision made again, and what differs."""
        del context
        replay = await replay_assessment(request.name, self._desk, merchant=request.merchant)
        return admin.ReplayAssessmentResponse(
            same=not replay.differences,
            assessment=assessment_message(replay.assessment),
            differences=replay.differences,
        )

    async def VerifyAuditLog(
        self, request: admin.VerifyAuditLogRequest, context: Context
    ) -> admin.VerifyAuditLogResponse:
        """Check the chain of the audit log."""
        del context
        return await verify_audit_log(request, self._verify, admin.VerifyAuditLogResponse)

    async def UpsertParty(self, request: admin.UpsertPartyRequest, context: Context) -> NoReturn:
        """Not served."""
        del request, context
        raise NotServed(what="UpsertParty")

    async def PutRuleSet(self, request: admin.PutRuleSetRequest, context: Context) -> NoReturn:
        """Not served: the rule set is the file that the settings name."""
        del request, context
        raise NotServed(what="PutRuleSet")

    async def ListRuleSets(self, request: admin.ListRuleSetsRequest, context: Context) -> NoReturn:
        """Not served."""
        del request, context
        raise NotServed(what="ListRuleSets")

    async def ChangeBlocklist(
        self, request: admin.ChangeBlocklistRequest, context: Context
    ) -> NoReturn:
        """Not served: blocklists are rules of the document."""
        del request, context
        raise NotServed(what="ChangeBlocklist")

    async def ImportWatchlist(
        self, request_iterator: AsyncIterator[admin.ImportWatchlistRequest], context: Context
    ) -> NoReturn:
        """Not served."""
        del request_iterator, context
        raise NotServed(what="ImportWatchlist")

    async def ListCases(self, request: admin.ListCasesRequest, context: Context) -> NoReturn:
        """Not served."""
        del request, context
        raise NotServed(what="ListCases")

    async def ClaimCase(self, request: admin.ClaimCaseRequest, context: Context) -> NoReturn:
        """Not served."""
        del request, context
        raise NotServed(what="ClaimCase")

    async def DecideCase(self, request: admin.DecideCaseRequest, context: Context) -> NoReturn:
        """Not served."""
        del request, context
        raise NotServed(what="DecideCase")

    async def SetPlayerLimits(
        self, request: admin.SetPlayerLimitsRequest, context: Context
    ) -> NoReturn:
        """Not served."""
        del request, context
        raise NotServed(what="SetPlayerLimits")

    async def StreamDecisions(
        self, request: admin.StreamDecisionsRequest, context: Context
    ) -> AsyncIterator[admin.DecisionEvent]:
        """Not served: no case is decided here yet."""
        del request, context
        nothing: tuple[admin.DecisionEvent, ...] = ()
        for event in nothing:  # makes it the generator that a stream is
            yield event
        raise NotServed(what="StreamDecisions")
