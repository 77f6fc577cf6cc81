"""Reads and feeds recon over gRPC: summary, ledger, statements, runs and exceptions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from cashier.recon.v1 import (
    exception_pb2,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    recon_service_pb2,
    recon_service_pb2_grpc,
)
from cashier_common.money import Money
from cashier_common.rpc.client import idempotency_key
from cashier_mesh.demo.agreement import Booking, Cell
from cashier_mesh.demo.sandbox import SettlementFile

PAGE_MAX = 1_000
CHUNK_BYTES = 256 * 1024
CALL_S = 30.0
RUN_POLL_S = 0.2
# Where the money of an operation is booked until it settles: at a processor, or in our wallet.
HOLDERS = ("receivable", "wallet")
CAPTURED = "PAYMENT_CAPTURED"
STRIPE_TABLE = recon_service_pb2.STATEMENT_FORMAT_STRIPE_BALANCE_TRANSACTIONS
RUNNING = recon_service_pb2.Run.STATE_RUNNING


class Books:
    """Recon, as the demo's certificate sees it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._recon = recon_service_pb2_grpc.ReconServiceStub(channel)
        self._ledger = ledger_service_pb2_grpc.LedgerServiceStub(channel)

    async def summary(self) -> recon_service_pb2.GetSummaryResponse:
        """Where everything stands, per processor account and asset."""
        return await self._recon.GetSummary(recon_service_pb2.GetSummaryRequest(), timeout=CALL_S)

    async def booked(self) -> dict[Cell, int]:
        """What the summary says was moved, in minor units."""
        summary = await self.summary()
        return {
            (line.processor_account, line.asset_code): line.booked_minor
            for line in summary.lines
            if line.booked_minor
        }

    async def bookings(self) -> list[Booking]:
        """Every capture in the ledger."""
        return [
            Booking(
                account=entry.owner,
                operation=entry.operation,
                amount=Money(entry.amount.minor, entry.amount.asset_code),
            )
            for holder in HOLDERS
            async for entry in self._entries(account=holder)
            if entry.cause == CAPTURED
        ]

    async def entries_of(self, payment: str) -> list[ledger_service_pb2.Entry]:
        """The ledger's entries about a payment, oldest first."""
        found = [entry async for entry in self._entries(payment=payment)]
        return sorted(found, key=lambda entry: (entry.book_time.ToNanoseconds(), entry.leg))

    async def import_file(self, file: SettlementFile) -> recon_service_pb2.Statement:
        """Import a statement piece by piece; the same file again changes nothing."""
        with idempotency_key(f"demo-import-{file.name}-{len(file.content):08d}"):
            return await self._recon.ImportStatement(_pieces(file), timeout=CALL_S)

    async def run(
        self, name: str, *, cutoff: datetime | None, accounts: Sequence[str]
    ) -> recon_service_pb2.Run:
        """Match what was imported with what was expected; waits until the run has ended."""
        request = recon_service_pb2.StartRunRequest(
            cutoff_time=stamp(cutoff) if cutoff else None, processor_accounts=accounts
        )
        with idempotency_key(name):
            run = await self._recon.StartRun(request, timeout=CALL_S)
        while run.state == RUNNING:
            await asyncio.sleep(RUN_POLL_S)
            run = await self._recon.GetRun(
                recon_service_pb2.GetRunRequest(name=run.name), timeout=CALL_S
            )
        return run

    async def exceptions(self) -> list[exception_pb2.ReconException]:
        """Every exception that was ever found, most urgent first."""
        found: list[exception_pb2.ReconException] = []
        token = ""
        while True:
            page = await self._recon.ListExceptions(
                recon_service_pb2.ListExceptionsRequest(page_size=PAGE_MAX, page_token=token),
                timeout=CALL_S,
            )
            found += page.exceptions
            token = page.next_page_token
            if not token:
                return found

    async def _entries(
        self, *, account: str = "", payment: str = ""
    ) -> AsyncIterator[ledger_service_pb2.Entry]:
        token = ""
        while True:
            page = await self._ledger.ListEntries(
                ledger_service_pb2.ListEntriesRequest(
                    account=account, payment=payment, page_size=PAGE_MAX, page_token=token
                ),
                timeout=CALL_S,
            )
            for entry in page.entries:
                yield entry
            token = page.next_page_token
            if not token:
                return


def stamp(moment: datetime) -> Timestamp:
    """A moment for the wire."""
    message = Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


async def _pieces(file: SettlementFile) -> AsyncIterator[recon_service_pb2.ImportStatementRequest]:
    yield recon_service_pb2.ImportStatementRequest(
        header=recon_service_pb2.ImportStatementRequest.Header(
            processor_account=file.account, format=STRIPE_TABLE, file_name=file.name
        )
    )
    for start in range(0, len(file.content), CHUNK_BYTES):
        yield recon_service_pb2.ImportStatementRequest(
            data=file.content[start : start + CHUNK_BYTES]
        )
