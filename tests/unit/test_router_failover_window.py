"""A further rail opens for a customer who may still wait, and for nobody else."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from cashier_common.clock import FixedClock
from cashier_router.domain.lifecycle import OperationEvent
from cashier_router.domain.progress import Outcome
from cashier_router.flows.ports import Actor, World
from cashier_router.flows.submit_operation import FAILOVER_MAX_S, record
from tests.support.router_values import AT, a_payment


class Paper:
    """A store that takes every move."""

    @asynccontextmanager
    async def begin(self):
        yield self

    def move(self, before, after, step, actor, *, lease_s):
        pass


@pytest.mark.parametrize(
    ("age_s", "patience_s", "rails"),
    [(1, 5.0, 2), (1, 0.0, 1), (FAILOVER_MAX_S - 1, 5.0, 2), (FAILOVER_MAX_S, 5.0, 1)],
)
async def test_the_next_rail_opens_while_the_customer_may_wait(age_s, patience_s, rails):
    clock = FixedClock(AT + timedelta(seconds=age_s))
    world = World(store=Paper(), risk=None, rails=None, clock=clock, failpoint=None, questions=None)
    payment = a_payment("a", "b")

    recorded = await record(
        payment, payment.operation(1), Outcome(OperationEvent.DECLINE_SOFT), Actor("test", ""),
        world, caller_ends_s=patience_s,
    )  # fmt: skip

    assert recorded is not None
    assert rails == len(recorded[0].operations)
