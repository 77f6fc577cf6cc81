"""Kills the mesh's processes at chosen places, and waits for what becomes of the payments there."""

import asyncio
from collections.abc import Iterable, Sequence

import grpc

from cashier.payments.v1 import payment_pb2
from cashier_common.ids import payment_name
from cashier_mesh.supervisor import Mesh
from tests.support.mesh_client import MERCHANT, Answer, MeshClient, Request, a_key, a_payment
from tests.support.processors import LOCALSTRIPE, Processors
from tests.support.waiting import until

Payment = payment_pb2.Payment
Wishes = dict[str, Request]  # by idempotency key


async def arm(mesh: Mesh, service: str, failpoints: str) -> None:
    """Start a service's servers anew with failpoints, without waiting for their open streams."""
    mesh.set_env(service, {"CASHIER_FAILPOINTS": failpoints}, role="serve")
    for unit in mesh.units:
        if unit.seat.service == service and unit.seat.role == "serve" and unit.running():
            mesh.kill(service, replica=unit.seat.replica)
    await revive(mesh, service)


async def revive(mesh: Mesh, *services: str) -> None:
    """Start every process of the services that is dead."""
    dead = [u.seat for u in mesh.units if u.seat.service in services and not u.running()]
    await asyncio.gather(
        *(asyncio.to_thread(mesh.restart, seat.service, seat.role, seat.replica) for seat in dead)
    )


async def reach(client: MeshClient) -> None:
    """Wait until the caller's channel has found a router that was started anew."""

    async def found() -> bool:
        try:
            await client.all_of(MERCHANT)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True

    await until(found)


def kill(mesh: Mesh, service: str) -> None:
    """SIGKILL to every process of a service, workers included, as when its machine burns."""
    for unit in mesh.units:
        if unit.seat.service == service and unit.running():
            mesh.kill(service, unit.seat.role, replica=unit.seat.replica)


def accounts(mesh: Mesh) -> list[str]:
    return ["sandbox-us", *(["localstripe-us"] if LOCALSTRIPE in mesh.peer_urls else [])]


async def wishes(mesh: Mesh, processors: Processors, count: int) -> Wishes:
    """So many payments for each account, each with a key of its own."""
    cards = {account: await processors.card(account) for account in accounts(mesh)}
    return {a_key(): a_payment(a, card) for a, card in cards.items() for _ in range(count)}


def names(keys: Iterable[str]) -> list[str]:
    return [payment_name(MERCHANT, key) for key in keys]


async def charged(processors: Processors, keys: Iterable[str]) -> dict[str, int]:
    """How many charges the processors hold for each payment."""
    counts = dict.fromkeys(names(keys), 0)
    for charge in await processors.moves_of(*counts):
        counts[charge.operation.split("/operations/")[0]] += 1
    return counts


async def at_rest(client: MeshClient, keys: Sequence[str]) -> list[Payment] | None:
    """All payments, once none of them is under way any more."""
    found = [await client.get(name) for name in names(keys)]
    return None if any(p.state == Payment.STATE_PROCESSING for p in found) else found


async def are_written(client: MeshClient, keys: Sequence[str]) -> bool:
    """Whether a router has promised every one of the payments."""
    wanted = set(names(keys))
    return wanted <= {payment.name for payment in await client.all_of(MERCHANT)}


async def each_has(processors: Processors, keys: Sequence[str], count: int) -> bool:
    """Whether the processors hold so many charges for every payment."""
    return all(found == count for found in (await charged(processors, keys)).values())


async def insistently(client: MeshClient, request: Request, key: str) -> Answer:
    """A client that repeats its call, with its key, until it is answered."""

    async def once() -> Answer | None:
        try:
            return await client.create(request, key)
        except grpc.aio.AioRpcError as error:
            if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED}:
                raise
            return None

    return await until(once)
