"""A process of the mesh starts or says why not, answers, and ends when it is told."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import grpc.aio
import orjson
import pytest
import yaml

from cashier_common.rpc.client import connect, connect_sync, idempotency_key
from cashier_common.rpc.status import error_info
from tests.contract.mesh_fixture import CHECKOUT, KEY, ROUTER, Certificates, a_mesh, a_parcel
from tests.contract.parcels import grpc_stubs, pb

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio
from cashier_common.service import App, cli
from tests.contract.mesh_fixture import Parcels
from tests.contract.parcels import SERVICE, grpc_stubs

async def closed():
    print("closed", flush=True)

async def build(settings, role):
    servicer = Parcels()
    servicer.sleeps_s = 1.0
    add = grpc_stubs.add_ParcelServiceServicer_to_server
    return App(domain="parcels.cashier", services=[(add, servicer, SERVICE)], on_stop=closed)

cli("parcels", build)()
"""


@pytest.fixture
def port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def environment(tmp_path, port):
    policy = tmp_path / "policy.yaml"
    rule = {"merchants": ["*"], "methods": ["*"]}
    policy.write_text(yaml.safe_dump({"callers": {CHECKOUT: rule}}))
    (tmp_path / "certificates").mkdir()
    certificates = Certificates(tmp_path / "certificates")
    tls = certificates.issue(ROUTER)
    values = {
        "CASHIER_ENVIRONMENT": "development",
        "CASHIER_LISTEN": f"127.0.0.1:{port}",
        "CASHIER_ACCESS_POLICY": str(policy),
        "CASHIER_TLS_CERTIFICATE": str(tls.certificate),
        "CASHIER_TLS_PRIVATE_KEY": str(tls.private_key),
        "CASHIER_TLS_AUTHORITY": str(tls.authority),
        "CASHIER_TRACE_FILE": str(tmp_path / "spans.jsonl"),
        "CASHIER_TRACE_SAMPLE_RATIO": "1",
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
    }
    return values, certificates


async def started(values):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        "serve",
        env=values,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def serving(process):
    async with asyncio.timeout(30):
        while line := await process.stdout.readline():
            if b'"serving"' in line:
                return
    raise AssertionError((await process.stderr.read()).decode())


async def test_a_process_finishes_the_call_under_way_when_it_is_told_to_end(
    environment, port, tmp_path
):
    values, certificates = environment
    process = await started(values)
    await serving(process)
    tls = certificates.issue(CHECKOUT)
    async with connect(f"127.0.0.1:{port}", tls, server_name="localhost") as channel:
        call = grpc_stubs.ParcelServiceStub(channel).SendParcel(a_parcel())
        await asyncio.sleep(0.5)

        process.send_signal(signal.SIGTERM)
        answer = await call
        output, _ = await asyncio.wait_for(process.communicate(), 20)

    spans = [orjson.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    assert answer.text
    assert 0 == process.returncode
    assert b"closed" in output
    assert ["/parcels.v1.ParcelService/SendParcel"] == [span["name"] for span in spans]


async def test_a_taken_port_is_told_with_the_setting_that_changes_it(environment, port):
    values, _ = environment
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        process = await started(values)
        _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert 78 == process.returncode
    assert f"127.0.0.1:{port} cannot be listened on" in errors.decode()
    assert "CASHIER_LISTEN" in errors.decode()
    assert "Traceback" not in errors.decode()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"CASHIER_ACCESS_POLICY": ""}, "CASHIER_ACCESS_POLICY is not set"),
        ({"CASHIER_TLS_AUTHORITY": ""}, "CASHIER_TLS_AUTHORITY is not set"),
        ({"CASHIER_LISTEN": "everywhere"}, "CASHIER_LISTEN cannot be used"),
        (
            {"CASHIER_ENVIRONMENT": "production", "CASHIER_FAILPOINTS": "x:kill"},
            "CASHIER_FAILPOINTS is set",
        ),
    ],
)
async def test_a_start_that_cannot_be_is_one_sentence(environment, changes, complaint):
    process = await started(environment[0] | changes)

    _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert 78 == process.returncode
    assert complaint in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_the_synchronous_channel_speaks_to_the_same_server(tmp_path):
    async with a_mesh(tmp_path) as mesh:
        tls = mesh.certificates.issue(CHECKOUT)

        def calls():
            with connect_sync(f"127.0.0.1:{mesh.port}", tls, server_name="localhost") as channel:
                stub = grpc_stubs.ParcelServiceStub(channel)
                with idempotency_key(KEY):
                    stub.SendParcel(a_parcel())
                try:
                    stub.SendParcel(a_parcel(merchant=""))
                except grpc.RpcError as error:
                    return error_info(error).reason

        reason = await asyncio.to_thread(calls)

    assert "FIELD_REQUIRED" == reason
    assert KEY == mesh.servicer.calls[0].idempotency_key


async def test_an_asynchronous_channel_spreads_calls_over_replicas(tmp_path):
    (tmp_path / "one").mkdir()
    async with a_mesh(tmp_path / "one") as one:
        tls = one.certificates.issue(CHECKOUT)
        (tmp_path / "two").mkdir()
        async with a_mesh(tmp_path / "two", certificates=one.certificates) as two:
            target = f"127.0.0.1:{one.port},127.0.0.1:{two.port}"
            async with connect(target, tls) as channel:
                stub = grpc_stubs.ParcelServiceStub(channel)
                for _ in range(50):
                    await stub.SendParcel(a_parcel())
                    if one.servicer.sent and two.servicer.sent:
                        break
                    await asyncio.sleep(0.02)

    assert one.servicer.sent
    assert two.servicer.sent


async def test_plaintext_takes_every_caller_for_the_development_one(tmp_path):
    changes = {
        "plaintext": True,
        "plaintext_caller": CHECKOUT,
        "tls_certificate": None,
        "tls_private_key": None,
        "tls_authority": None,
    }
    async with (
        a_mesh(tmp_path, settings_changes=changes) as mesh,
        grpc.aio.insecure_channel(f"127.0.0.1:{mesh.port}") as channel,
    ):
        stub = grpc_stubs.ParcelServiceStub(channel)
        await stub.SendParcel(a_parcel(), metadata=(("idempotency-key", KEY),))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetParcel(pb.GetParcelRequest(merchant="other"))

    assert CHECKOUT == mesh.servicer.calls[0].caller
    assert "MERCHANT_DENIED" == error_info(raised.value).reason
