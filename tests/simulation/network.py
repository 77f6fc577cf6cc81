"""Calls between processes over a network that delays, loses, repeats and holds."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_status import rpc_status

from cashier_common.errors import Refusal
from cashier_common.rpc.call import CALL, Call
from cashier_common.rpc.outgoing import KEY
from cashier_common.rpc.status import internal_status, to_status
from tests.simulation.faults import Faults
from tests.simulation.loop import PROCESS, Process, VirtualLoop

DEADLINE, UNAVAILABLE = grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE
# How long a server that went away is waited for before it is tried again.
RECONNECT_S = 0.5


@dataclass
class CallEnd:
    """A deadline on the simulated clock; see `cashier_common.rpc.deadlines.Deadline`."""

    at: float
    loop: VirtualLoop

    def remaining_s(self) -> float:
        return self.at - self.loop.time()

    @property
    def has_passed(self) -> bool:
        return self.remaining_s() <= 0


class Service:
    """The replicas of one service, and the network in front of them."""

    def __init__(self, name: str, loop: VirtualLoop, rng: random.Random, faults: Faults) -> None:
        self.name = name
        self.domain = f"{name}.cashier"
        self.replicas: list[tuple[Process, Any]] = []
        self.surprises: list[str] = []
        self.cut_until = 0.0
        self.to_hold_s: dict[str, float] = {}  # the next request of a method, planned
        self.loop = loop
        self._rng = rng
        self._faults = faults

    def replica(self) -> tuple[Process, Any] | None:
        """One that is up, chosen by chance; None while there is none or the network is cut."""
        alive = [replica for replica in self.replicas if replica[0].is_alive]
        if not alive or self.loop.time() < self.cut_until:
            return None
        return self._rng.choice(alive)

    async def ask(
        self,
        method: str,
        work: Callable[[Any], Coroutine[Any, Any, Any]],
        *,
        timeout_s: float,
        key: str | None,
        caller: str,
        patient: bool = False,
    ) -> Any:
        """What the server answers; AioRpcError as gRPC raises it, a refusal in its details."""
        loop, ends_s = self.loop, self.loop.time() + timeout_s
        while self.replica() is None:
            if not patient:
                await asyncio.sleep(0.001)
                raise _failed(UNAVAILABLE)
            if loop.time() >= ends_s:
                raise _failed(DEADLINE)
            await asyncio.sleep(RECONNECT_S)
        answer: asyncio.Future[Any] = loop.create_future()
        client, there, back = PROCESS.get(), self._faults.trip(), self._faults.trip()

        def deliver() -> None:
            replica = self.replica()
            if replica is None:
                loop.outside(0.001, _fail, answer, UNAVAILABLE)
                return
            process, servicer = replica
            call = Call(method)
            call.caller, call.idempotency_key = caller, key
            call.deadline = CallEnd(loop.time() + timeout_s, loop)  # type: ignore[assignment]
            task = process.start(self._serve(call, work, servicer))
            process.on_death[task] = lambda: loop.outside(0.001, _fail, answer, UNAVAILABLE)
            task.add_done_callback(lambda _: process.on_death.pop(task, None), context=Context())
            if not back.is_lost:
                task.add_done_callback(
                    lambda _: loop.outside(back.delay_s, _copy, task, answer), context=Context()
                )
            # A client whose time is up, or that died, cancels the server's handler.
            loop.outside(max(ends_s - loop.time(), 0) + 0.01, task.cancel)
            if client is not None:
                client.on_death[task] = lambda: loop.outside(0.01, task.cancel)
                task.add_done_callback(lambda _: client.on_death.pop(task, None), context=Context())

        delay_s = self.to_hold_s.pop(method.rpartition("/")[2], there.delay_s)
        for _ in range(there.copies):
            loop.outside(delay_s, deliver)
        try:
            async with asyncio.timeout(max(ends_s - loop.time(), 0.001)):
                return await answer
        except TimeoutError:
            raise _failed(DEADLINE) from None

    async def _serve(
        self, call: Call, work: Callable[[Any], Coroutine[Any, Any, Any]], servicer: Any
    ) -> Any:
        CALL.set(call)
        try:
            return await work(servicer)
        except Refusal as refusal:
            return _failed_with(to_status(refusal, self.domain))
        except Exception as error:  # noqa: BLE001 - the server's pipeline answers INTERNAL
            self.surprises.append(f"{self.name} {call.method}: {type(error).__name__}: {error}")
            return _failed_with(internal_status(self.domain))


class Channel:
    """What a generated stub needs of a channel; the calls go to a simulated service."""

    def __init__(self, service: Service, caller: str) -> None:
        self._service = service
        self._caller = caller

    def unary_unary(self, path: str, **_: object) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = path.rpartition("/")[2]

        def call(
            request: Any, *, timeout: float, wait_for_ready: bool = False
        ) -> Coroutine[Any, Any, Any]:
            return self._service.ask(
                path, lambda servicer: getattr(servicer, method)(request, None),
                timeout_s=timeout, key=KEY.get(), caller=self._caller, patient=wait_for_ready,
            )  # fmt: skip

        return call

    def unary_stream(self, path: str, **_: object) -> Callable[..., AsyncIterator[Any]]:
        method = path.rpartition("/")[2]

        def call(request: Any, *, timeout: float) -> AsyncIterator[Any]:
            return self._stream(method, request, timeout)

        return call

    async def _stream(self, method: str, request: Any, timeout_s: float) -> AsyncIterator[Any]:
        loop, replica = self._service.loop, self._service.replica()
        if replica is None:
            await asyncio.sleep(0.001)
            raise _failed(UNAVAILABLE)
        process, servicer = replica
        events: asyncio.Queue[Any] = asyncio.Queue()

        async def pump() -> None:
            async for event in getattr(servicer, method)(request, None):
                events.put_nowait(event)

        task, client = process.start(pump()), PROCESS.get()
        process.on_death[task] = lambda: events.put_nowait(_failed(UNAVAILABLE))
        if client is not None:
            client.on_death[task] = lambda: loop.outside(0.01, task.cancel)
        loop.outside(timeout_s, task.cancel)
        loop.outside(timeout_s, events.put_nowait, _failed(DEADLINE))
        while True:
            event = await events.get()
            if isinstance(event, Exception):
                process.on_death.pop(task, None)
                if client is not None:
                    client.on_death.pop(task, None)
                raise event
            yield event


def _failed(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    """A failure of the network: nobody's word is in it."""
    empty = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, empty, empty, details="simulated")


def _failed_with(status: Any) -> grpc.aio.AioRpcError:
    """A server's own refusal, with its ErrorInfo."""
    rich = rpc_status.to_status(status)
    trailing = grpc.aio.Metadata(*rich.trailing_metadata)
    return grpc.aio.AioRpcError(rich.code, grpc.aio.Metadata(), trailing, details=rich.details)


def _fail(answer: "asyncio.Future[Any]", code: grpc.StatusCode) -> None:
    if not answer.done():
        answer.set_exception(_failed(code))


def _copy(task: "asyncio.Task[Any]", answer: "asyncio.Future[Any]") -> None:
    if answer.done() or task.cancelled():
        return
    result = task.result()
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
