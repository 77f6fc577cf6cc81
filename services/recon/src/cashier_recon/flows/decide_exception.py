"""A person takes an exception, or decides it: one step, compare-and-set on its etag."""

from dataclasses import dataclass, replace

from cashier_common.clock import Clock
from cashier_common.errors import EtagMismatch, FieldInvalid, ResourceNotFound
from cashier_recon.domain.catalogue import CATALOGUE, EVENTS, Choice, choice_of
from cashier_recon.domain.journal import Account, write_off_journal
from cashier_recon.domain.lifecycle import EXCEPTION, EXPECTATION, ExceptionEvent, ExpectationEvent
from cashier_recon.domain.recon_exception import ReconException
from cashier_recon.flows.ports import BeginDecision, ExceptionUnit, Key

_MISSING = frozenset({"MISSING_IN_SETTLEMENT", "REFUND_MISSING_IN_SETTLEMENT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person said. `choice` None means: I take it."""

    name: str
    operator: str
    etag: str
    choice: str | None = None
    reason: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Decider:
    """The decider of a process."""

    begin: BeginDecision
    clock: Clock

    async def decide(self, decision: Decision, key: Key) -> tuple[ReconException, bool]:
        """The exception after the decision, and whether this key had decided it before.

        A write-off is a journal in the same unit. EtagMismatch when the exception changed since it
        was read; TransitionRefused when it is closed; FieldInvalid names the choices of its type.
        """
        async with self.begin() as unit:
            earlier = await unit.claimed(key)
            standing = await unit.exception(decision.name)
            if standing is None:
                raise ResourceNotFound(decision.name)
            if earlier is not None:
                return standing, True
            if decision.etag != etag_of(standing):
                raise EtagMismatch(decision.name)
            unit.claim(key, decision.name)
            after = self._after(standing, decision)
            unit.move_exception(standing, after)
            if after.disposition == Choice.WRITE_OFF:
                await self._write_off(unit, standing)
            unit.add_step(
                subject=decision.name,
                version=after.version,
                actor=key.caller,
                action="EXCEPTION_DECIDED" if decision.choice else "EXCEPTION_CLAIMED",
                before=standing.state,
                after=after.state,
                payload={
                    "operator": decision.operator,
                    "disposition": decision.choice or "",
                    "reason": decision.reason,
                    "evidence": decision.evidence,
                },
                merchant=standing.found.merchant,
                traceparent=key.traceparent,
            )
        return after, False

    def _after(self, standing: ReconException, decision: Decision) -> ReconException:
        event, disposition = ExceptionEvent.CLAIM, standing.disposition
        if decision.choice is not None:
            choice = choice_of(CATALOGUE[standing.found.type], decision.choice)
            event, disposition = EVENTS[choice], choice.value
        return replace(
            standing,
            state=EXCEPTION.next(standing.state, event),
            version=standing.version + 1,
            assignee=decision.operator,
            disposition=disposition,
            update_time=self.clock.now(),
        )

    async def _write_off(self, unit: ExceptionUnit, standing: ReconException) -> None:
        """Book what stands open as a loss or a gain: at the receivable, or in suspense."""
        about = standing.found
        operations = await unit.standing([about.operation]) if about.operation else {}
        expectation = operations.get(about.operation)
        money, account = about.observed, Account.SUSPENSE
        amount = -money.minor if money else 0
        if about.type == "CHARGEBACK_UNBOOKED":
            account = Account.CHARGEBACKS
        if about.type in _MISSING or about.type == "AMOUNT_MISMATCH":
            if expectation is None or standing.difference is None:
                raise FieldInvalid("disposition", Choice.WRITE_OFF, "one that needs no booking")
            money, account = standing.difference, expectation.account
            amount = about.expected.minor if about.expected else 0
            amount -= about.observed.minor if about.observed else 0
            after = EXPECTATION.next(expectation.state, ExpectationEvent.WRITE_OFF)
            unit.move_expectation(expectation.operation, expectation.state, after)
        if money is None or not amount:
            raise FieldInvalid("disposition", Choice.WRITE_OFF, "one that needs no booking")
        if about.line_id:
            unit.park_line(about.line_id)
        unit.add_journals(
            [
                write_off_journal(
                    exception=about.exception_id,
                    account=account,
                    owner=about.processor_account,
                    asset=money.asset,
                    amount=amount,
                    at=self.clock.now(),
                    payment=about.payment,
                )
            ]
        )


def etag_of(exception: ReconException) -> str:
    """Changes with every change."""
    return f"{exception.found.exception_id.rpartition('_')[2][:8]}-{exception.version}"
