"""The operators: they end doubts by the processors' ledgers, and try again what never happened."""

import grpc

from cashier_common.rpc.status import error_info
from cashier_router.domain.commands import Override, ReplayOperation, ResolveInDoubt
from cashier_router.domain.lifecycle import OPENS_NEXT_RAIL, OperationState, PaymentState
from cashier_router.domain.payment import Operation, Payment
from cashier_router.flows.override_operation import override
from cashier_router.flows.ports import World as Ports
from cashier_router.rpc.run_wish import Flow
from tests.simulation.world import World

OPERATOR = "spiffe://cashier.local/client/operator"
FOR_PEOPLE = frozenset({OperationState.MANUAL_REVIEW, OperationState.CONFLICTED})
ROUNDS_MAX = 4


class Operators:
    """Work through what is in front of people, in a world that has calmed down."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._keys = 0
        self.refusals: list[str] = []

    def work(self) -> World:
        """End every doubt, replay what may be replayed once; time passes until all is at rest."""
        self._world.tell(self._replay_failed())
        for _ in range(ROUNDS_MAX):
            self._world.drain()
            if not self._doubts():
                break
            self._world.tell(self._resolve_all())
        return self._world

    def _doubts(self) -> list[tuple[Payment, Operation]]:
        return [
            (payment, operation)
            for payment in self._world.router_tables.all()
            for operation in payment.operations
            if operation.state in FOR_PEOPLE
        ]

    async def _resolve_all(self) -> None:
        happened = {effect.operation for effect in self._world.ledger}
        for payment, operation in self._doubts():
            name = payment.operation_name(operation.number)
            truth = OperationState.SUCCEEDED if name in happened else OperationState.NOT_FOUND
            await self._ask(
                ResolveInDoubt(
                    merchant=payment.merchant, key=self._key(), payment=payment.name,
                    number=operation.number, operator="olga", reason="settlement file",
                    etag=self._etag(payment), resolution=truth, proof="line 7",
                )
            )  # fmt: skip

    async def _replay_failed(self) -> None:
        for payment in self._world.router_tables.all():
            if payment.state is not PaymentState.FAILED or not payment.operations:
                continue
            last = payment.operations[-1]
            if last.state in OPENS_NEXT_RAIL:
                await self._ask(
                    ReplayOperation(
                        merchant=payment.merchant, key=self._key(), payment=payment.name,
                        number=last.number, operator="olga", reason="the customer asks",
                        etag=payment.etag,
                    )
                )  # fmt: skip

    async def _ask(self, command: Override) -> None:
        def flow(ports: Ports) -> Flow:
            return lambda actor, ends_s: override(command, actor, ports, caller_ends_s=ends_s)

        try:
            await self._world.router.ask(
                command.method, lambda node: node.do(flow, command), timeout_s=30,
                key=command.key, caller=OPERATOR,
            )  # fmt: skip
        except grpc.aio.AioRpcError as error:
            info = error_info(error)
            self.refusals.append(info.reason if info else error.code().name)

    def _etag(self, payment: Payment) -> str:
        found = self._world.router_tables.payment((payment.merchant, payment.name))
        return found.etag if found else ""

    def _key(self) -> str:
        self._keys += 1
        return f"operator-{self._keys:012d}"
