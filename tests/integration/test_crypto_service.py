"""The crypto rail as processes beside a real anvil: called over gRPC, killed, started again."""

import asyncio
import os
import signal
import subprocess
import sys

import grpc
import pytest

from cashier.crypto.v1 import crypto_rail_service_pb2, crypto_rail_service_pb2_grpc, transfer_pb2
from cashier.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc, outcome_pb2
from cashier.gateway.v1 import processor_account_pb2 as account_pb2
from cashier_common.db.audit import shard_of
from cashier_common.rpc.status import refusal_reason
from cashier_crypto import devchain
from tests.support.crypto_chain import running_anvil
from tests.support.crypto_process import CryptoProcess, a_request, keyed
from tests.support.crypto_rig import CONFIRMATIONS, MERCHANT, a_command, a_rig
from tests.support.seed import picked

Outcome = outcome_pb2.Outcome
TOLD_WITHIN_S = 30.0
FAILPOINTS = (
    "crypto.blocks_read",
    "crypto.blocks_recorded",
    "crypto.after_see",
    "crypto.after_confirm",
    "crypto.after_finalize",
    "crypto.before_credit",
    "crypto.after_credit",
)


@pytest.fixture
def anvil(tmp_path):
    with running_anvil(tmp_path) as chain:
        yield chain


@pytest.fixture
def service(crypto_database):
    return crypto_database


async def first_outcome(stub):
    request = gateway_service_pb2.StreamOutcomesRequest(shard=shard_of(MERCHANT))
    async with asyncio.timeout(TOLD_WITHIN_S):
        async for event in stub.StreamOutcomes(request):
            return event
    raise AssertionError("the stream ended")


@pytest.mark.long
async def test_a_deposit_goes_all_the_way_over_grpc(service, anvil, tmp_path):
    serving = CryptoProcess(tmp_path / "serve", service, anvil.url).start()
    working = CryptoProcess(tmp_path / "work", service, anvil.url).start("work")
    try:
        async with serving.channel() as channel:
            stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
            rail = crypto_rail_service_pb2_grpc.CryptoRailServiceStub(channel)
            offered = await stub.ListCapabilities(gateway_service_pb2.ListCapabilitiesRequest())
            request = a_request()
            asked = await stub.Authorize(request, metadata=keyed(request.operation))
            deposit = asked.next_action.chain_deposit
            anvil.pay(deposit.address, deposit.amount.minor)
            anvil.mine(CONFIRMATIONS)

            event = await first_outcome(stub)

            shown = await rail.ListTransfers(
                crypto_rail_service_pb2.ListTransfersRequest(merchant=MERCHANT)
            )
            one = await rail.GetTransfer(
                crypto_rail_service_pb2.GetTransferRequest(
                    merchant=MERCHANT, name=shown.transfers[0].name
                )
            )
            await asyncio.sleep(1)
            audit = await rail.VerifyAuditLog(crypto_rail_service_pb2.VerifyAuditLogRequest())
    finally:
        serving.kill()
        working.kill()

    account = offered.accounts[0]
    assert ("crypto", "evm-usdc", "evm") == (offered.rail, account.account_id, account.processor)
    assert account_pb2.ProcessorAccount.STATE_ENABLED == account.state
    assert Outcome.STATE_ACTION_REQUIRED == asked.state
    assert ("eip155:31337", CONFIRMATIONS) == (deposit.chain, deposit.required_confirmations)
    assert deposit.address != deposit.address.lower()
    assert asked.next_action.HasField("expire_time")
    assert (Outcome.STATE_SUCCEEDED, request.operation, "CHAIN") == (
        event.outcome.state, event.outcome.operation, event.source,
    )  # fmt: skip
    assert request.amount == event.outcome.amount
    assert event.outcome.settlement.HasField("due_time")
    assert one == shown.transfers[0]
    assert transfer_pb2.Transfer.STATE_CREDITED == one.state
    assert f"{one.transaction_hash}:{one.log_ordinal}" == event.outcome.processor_reference
    assert ([], 5) == (list(audit.findings), audit.checked_row_count)


async def test_refusals_name_what_is_wrong(service, anvil, tmp_path):
    serving = CryptoProcess(tmp_path / "serve", service, anvil.url).start()
    try:
        async with serving.channel() as channel:
            stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
            request = a_request()
            first = await stub.Authorize(request, metadata=keyed(request.operation))
            again_call = stub.Authorize(request, metadata=keyed(request.operation))
            again = await again_call
            trailing = dict(await again_call.trailing_metadata())
            other = a_request(minor=5, operation=request.operation)
            reused = await refused(stub.Authorize(other, metadata=keyed(request.operation)))
            held = a_request(capture=False)
            manual = await refused(stub.Authorize(held, metadata=keyed(held.operation)))
            void = gateway_service_pb2.VoidRequest(
                merchant=MERCHANT, operation=request.operation, authorization=request.operation,
                amount=request.amount,
            )  # fmt: skip
            unserved = await refused(stub.Void(void, metadata=keyed(request.operation)))
            keyless = await refused(stub.Authorize(a_request()))
    finally:
        serving.kill()

    assert first.next_action == again.next_action
    assert "true" == trailing["idempotent-replayed"]
    assert [
        "OPERATION_REUSED", "FIELD_INVALID", "NOT_SERVED", "IDEMPOTENCY_KEY_MISSING",
    ] == [reused, manual, unserved, keyless]  # fmt: skip


async def refused(call) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    info = refusal_reason(raised.value)
    assert info is not None, raised.value
    return info.reason


async def test_without_a_chain_the_account_is_disabled(service, tmp_path):
    serving = CryptoProcess(tmp_path / "serve", service, "").start()
    try:
        async with serving.channel() as channel:
            stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
            offered = await stub.ListCapabilities(gateway_service_pb2.ListCapabilitiesRequest())
            request = a_request()
            reason = await refused(stub.Authorize(request, metadata=keyed(request.operation)))
    finally:
        serving.kill()

    assert account_pb2.ProcessorAccount.STATE_DISABLED == offered.accounts[0].state
    assert "NO_ELIGIBLE_ACCOUNT" == reason


@pytest.mark.long
async def test_the_development_commands_deploy_once_and_pay(anvil):
    """What the demo and a person type; the fixture has deployed before."""
    payee = "0x8C8d35429F74ec245F8Ef2f4Fd1e551cFF97d650"
    before = anvil.head()

    deployed = await devchain_says(anvil, "deploy")
    height = anvil.head()
    paid = await devchain_says(anvil, "transfer", payee, "12.50", "--blocks", "3")

    token = devchain._token(anvil.web3, devchain.contract_address(0))
    assert f"USDC {devchain.contract_address(0)}" in deployed
    assert before == height
    assert height + 4 == anvil.head()
    assert 12_500_000 == token.functions.balanceOf(payee).call()
    assert 1 == anvil.web3.eth.get_transaction_receipt(paid.strip())["status"]


async def devchain_says(anvil, *arguments) -> str:
    environment = {
        **os.environ, "CASHIER_ENVIRONMENT": "development", "CASHIER_CHAIN_URL": anvil.url
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cashier_crypto.devchain", *arguments,
        env=environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert 0 == process.returncode
    return out.decode()


@pytest.mark.slow
async def test_a_watcher_that_is_killed_credits_every_deposit_once(service, anvil, tmp_path):
    """kill -9 where the run's seed says."""
    await _credited_once(service, anvil, tmp_path, picked(FAILPOINTS, 1))


@pytest.mark.long
async def test_a_watcher_that_is_killed_anywhere_credits_every_deposit_once(
    service, anvil, tmp_path
):
    """kill -9 between block and cursor, between cursor and deposit, and around the credit."""
    await _credited_once(service, anvil, tmp_path, FAILPOINTS)


async def _credited_once(service, anvil, folder, failpoints) -> None:
    async with a_rig(service, anvil) as rig:
        transfers = [await rig.authorize(a_command()) for _ in failpoints]
        working = CryptoProcess(folder / "work", service, anvil.url)
        codes = []
        for transfer, failpoint in zip(transfers, failpoints, strict=True):
            anvil.pay(transfer.address, transfer.amount.minor)
            anvil.mine(CONFIRMATIONS)
            working.start("work", CASHIER_FAILPOINTS=f"{failpoint}:kill")
            try:
                codes.append(await asyncio.to_thread(working.exit_code))
            except subprocess.TimeoutExpired:
                pytest.fail(f"{failpoint} was not reached: {working.log.read_text()[-4000:]}")
            finally:
                working.kill()
        await rig.watch()

        found = [await rig.now(transfer) for transfer in transfers]
        actions = [await rig.actions(transfer) for transfer in transfers]
        audit = await rig.verify()

    assert [-signal.SIGKILL] * len(failpoints) == codes
    assert {"CREDITED"} == {transfer.state for transfer in found}
    assert [["AWAIT", "SEE", "CONFIRM", "FINALIZE", "LATE_CREDIT"]] * len(failpoints) == actions
    assert [] == audit.findings
