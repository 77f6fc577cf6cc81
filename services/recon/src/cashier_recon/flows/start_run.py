"""A run: plan, freeze the plan, apply it piece by piece, close. Any crash is resumed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cashier_common import failpoints
from cashier_common.clock import Clock
from cashier_common.ids import new_name
from cashier_recon.domain.bridge import has_residual
from cashier_recon.domain.consequences import consequences
from cashier_recon.domain.errors import RunInProgress
from cashier_recon.domain.expectation import Expectation
from cashier_recon.domain.lifecycle import RUN, RunEvent, RunState
from cashier_recon.domain.matching import SETTLING
from cashier_recon.domain.run_plan import Item, Plan, Run, Waiting, plan_run, result_hash
from cashier_recon.flows.ports import BeginRun, Key, Lock

READ_ROWS_MAX = 5_000  # rows in one statement of reading: well below its 3 s
PLAN_ITEMS_MAX = 4_000  # items in one unit of planning
APPLY_ITEMS_MAX = 200  # items in one unit of applying: some 50 ms
LOCK = "run"


@dataclass(frozen=True, slots=True)
class Reconciler:
    """The reconciler of a process."""

    begin: BeginRun
    lock: Lock
    clock: Clock

    async def start(
        self, *, cutoff: datetime | None, processor_accounts: Sequence[str], key: Key
    ) -> tuple[Run, bool]:
        """A run from begin to end, and whether the key had made it before.

        RunInProgress while another one is under way. A crash leaves a RUNNING run whose plan is
        frozen or absent; `resume`, or the next start, brings it to the same end.
        """
        made = await self.of_key(key)
        if made is not None:
            return made, True
        try:
            return await self._start(cutoff, processor_accounts, key)
        except RunInProgress as busy:
            async with self.begin() as unit:
                holder = await unit.running()
            raise RunInProgress(run=holder.run_id if holder else busy.run) from None

    async def _start(
        self, cutoff: datetime | None, processor_accounts: Sequence[str], key: Key
    ) -> tuple[Run, bool]:
        async with self.lock(LOCK):
            await self._resume()
            run = self._new_run(cutoff, processor_accounts)
            async with self.begin() as unit:
                unit.claim(key, run.run_id)
                unit.add_run(run)
                unit.add_step(
                    subject=run.run_id,
                    version=1,
                    actor=key.caller,
                    action="RUN_STARTED",
                    after=run.state,
                    payload={"cutoff_time": run.cutoff_time.isoformat()},
                    traceparent=key.traceparent,
                )
            return await self._carry_out(run), False

    async def of_key(self, key: Key) -> Run | None:
        """The run that this key made, as it stands."""
        async with self.begin() as unit:
            made = await unit.claimed(key)
            return await unit.run(made) if made else None

    async def resume(self) -> int:
        """Finish the run that a crash left behind; how many there were."""
        async with self.begin() as unit:
            if await unit.running() is None:
                return 0
        async with self.lock(LOCK):
            return await self._resume()

    async def _resume(self) -> int:
        async with self.begin() as unit:
            run = await unit.running()
        if run is None:
            return 0
        await self._carry_out(run)
        return 1

    def _new_run(self, cutoff: datetime | None, accounts: Sequence[str]) -> Run:
        now = self.clock.now()
        return Run(
            run_id=new_name("runs", "run"),
            state=RUN.initial,
            cutoff_time=cutoff or now,
            processor_accounts=tuple(sorted(set(accounts))),
            planned=False,
            create_time=now,
            exception_counts={},
        )

    async def _carry_out(self, run: Run) -> Run:
        if not run.planned:
            run = await self._plan(run)
        while True:
            async with self.begin() as unit:
                items = await unit.open_items(run.run_id, APPLY_ITEMS_MAX)
                if not items:
                    break
                done = [consequences(item, run) for item in items]
                await unit.apply(run, items, done)
            await failpoints.hit("recon.run_applied")
        return await self._finish(run)

    async def _plan(self, run: Run) -> Run:
        async with self.begin() as unit:
            unit.forget_items(run.run_id)
        waiting, candidates = await self._waiting(run)
        overdue = await self._overdue(run)
        async with self.begin() as unit:
            refused, payouts = await unit.refused_rows(run), await unit.payouts(run)
        plan = await asyncio.to_thread(
            plan_run, waiting, candidates, overdue=overdue, refused=refused, payouts=payouts
        )
        for place in range(0, len(plan.items), PLAN_ITEMS_MAX):
            async with self.begin() as unit:
                unit.add_items(run.run_id, plan.items[place : place + PLAN_ITEMS_MAX])
            await failpoints.hit("recon.run_planned")
        return await self._freeze(run, plan)

    async def _waiting(self, run: Run) -> tuple[list[Waiting], list[Expectation]]:
        """Page by page: no statement may last, and none needs the same snapshot as another.

        What moves meanwhile is at worst decided by the next run: an import is not in the plan, and
        the feed only moves what is undecided.
        """
        waiting: list[Waiting] = []
        candidates: list[Expectation] = []
        while True:
            after = waiting[-1].line.line_id if waiting else ""
            async with self.begin() as unit:
                page = await unit.waiting_lines(run, after=after, limit=READ_ROWS_MAX)
                if not page:
                    return waiting, candidates
                candidates += await unit.candidates(page)
            waiting += page

    async def _overdue(self, run: Run) -> list[Expectation]:
        found: list[Expectation] = []
        while True:
            after = found[-1].operation if found else ""
            async with self.begin() as unit:
                page = await unit.overdue(run, after=after, limit=READ_ROWS_MAX)
            if not page:
                return found
            found += page

    async def _items(self, run: Run) -> list[Item]:
        found: list[Item] = []
        while True:
            async with self.begin() as unit:
                page = await unit.items(
                    run.run_id, after=found[-1].number if found else 0, limit=READ_ROWS_MAX
                )
            if not page:
                return found
            found += page

    async def _freeze(self, run: Run, plan: Plan) -> Run:
        async with self.begin() as unit:
            bridge = plan.bridge.closed(
                expected=await unit.expected_sums(run.run_id),
                observed=await unit.observed_sums(run.run_id),
            )
            counts: dict[str, int] = {}
            for item in plan.items:
                for kind in _exceptions_of(item):
                    counts[kind] = counts.get(kind, 0) + 1
            detail = (
                "" if plan.is_complete else "the money of a row that cannot be read is not known"
            )
            if has_residual(bridge):
                detail = "the bridge leaves a residual that has no name"
            planned = replace(
                run,
                planned=True,
                bridge=tuple(bridge),
                matched_count=sum(_is_matched(item) for item in plan.items),
                exception_counts=dict(sorted(counts.items())),
                detail=detail,
            )
            unit.mark_planned(planned)
        return planned

    async def _finish(self, run: Run) -> Run:
        event = RunEvent.FALL_SHORT if run.detail else RunEvent.FINISH
        state = RUN.next(RunState.RUNNING, event)
        items = await self._items(run)
        done = replace(
            run,
            state=state,
            finish_time=self.clock.now(),
            result_hash=await asyncio.to_thread(result_hash, items, run.bridge, state),
        )
        async with self.begin() as unit:
            unit.finish(done)
            unit.add_step(
                subject=run.run_id,
                version=2,
                actor="recon",
                action="RUN_FINISHED",
                before=RunState.RUNNING,
                after=state,
                payload={"result_hash": done.result_hash.hex(), "matched": run.matched_count},
            )
        return done


def _exceptions_of(item: Item) -> list[str]:
    quiet = item.outcome in {"MATCHED", "PROCESSOR_LINE"}
    return [*([] if quiet else [str(item.outcome)]), *([item.second] if item.second else [])]


def _is_matched(item: Item) -> bool:
    return item.line is not None and item.outcome in SETTLING
