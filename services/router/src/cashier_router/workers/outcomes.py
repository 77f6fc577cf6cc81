"""Pulls what rails learnt later and what people decided, by durable cursor, in order."""

import contextlib

from cashier_router.flows.apply_decision import apply_decision
from cashier_router.flows.apply_outcome import apply_outcome
from cashier_router.flows.ports import RISK_STREAM, Actor, MovedOnError, World

# A pull stays open this long and begins again, so that a stopping worker is not kept waiting.
PULL_S = 5.0


class OutcomePull:
    """Follows one shard of one rail's stream."""

    def __init__(self, rail: str, shard: int, world: World) -> None:
        self._rail = rail
        self._shard = shard
        self._world = world

    async def step(self) -> int:
        """Apply outcomes until the pull ends; answers how many there were."""
        seen = await self._world.store.cursor(self._rail, self._shard)
        applied = 0
        stream = self._world.rails.follow(self._rail, self._shard, seen, timeout_s=PULL_S)
        with contextlib.suppress(MovedOnError):  # another replica has this one
            async for late in stream:
                actor = Actor(f"rail/{self._rail}/{late.source}", late.traceparent)
                await apply_outcome(late, actor, self._world, seen=seen)
                seen = late.position
                applied += 1
        return applied


class DecisionPull:
    """Follows one shard of risk's decisions about cases."""

    def __init__(self, shard: int, world: World) -> None:
        self._shard = shard
        self._world = world

    async def step(self) -> int:
        """Apply decisions until the pull ends; answers how many there were."""
        seen = await self._world.store.cursor(RISK_STREAM, self._shard)
        applied = 0
        stream = self._world.risk.follow(self._shard, seen, timeout_s=PULL_S)
        with contextlib.suppress(MovedOnError):  # another replica has this one
            async for decided in stream:
                await apply_decision(decided, Actor("risk/decision", ""), self._world, seen=seen)
                seen = decided.position
                applied += 1
        return applied
