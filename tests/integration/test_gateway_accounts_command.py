"""`accounts apply` and `accounts list`, and a gateway that takes up what they did."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

import pytest
import yaml
from typer.testing import CliRunner

from cashier.gateway.v1 import gateway_service_pb2 as pb
from cashier.gateway.v1 import processor_account_pb2 as account_pb2
from cashier_gateway.__main__ import main
from tests.support.gateway_accounts import rows, service
from tests.support.gateway_process import GatewayProcess, stub_of
from tests.support.gateway_rig import accounts_file
from tests.unit.test_gateway_account import an_account

__all__ = ["rows", "service"]
TAKEN_UP_WITHIN_S = 10.0
State = account_pb2.ProcessorAccount


def environment(service, extra):
    own = {"CASHIER_ENVIRONMENT": "development", "CASHIER_DATABASE_URL": service.app_url}
    return {**own, **extra}


async def command(service, *words, **extra):
    """Exit code, output and errors; without a process of its own, which takes a second."""
    runner = CliRunner()
    done = await asyncio.to_thread(
        runner.invoke, main, ["accounts", *words], env=environment(service, extra)
    )
    return done.exit_code, done.stdout, done.stderr


async def process(service, *words):
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cashier_gateway", "accounts", *words,
        env={**os.environ, **environment(service, {})},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await started.communicate()
    return started.returncode, out.decode(), err.decode()


def apply_words(path):
    return "apply", str(path), "--operator", "ann", "--reason", "new contract"


async def test_a_person_applies_a_file_and_reads_what_there_is(service, tmp_path):
    file = accounts_file(tmp_path / "a.yaml", an_account(), an_account(account_id="two"))

    first = await process(service, *apply_words(file))
    again = await command(service, *apply_words(file))
    less = accounts_file(tmp_path / "b.yaml", an_account(state="DRAINING"))
    partly = await command(service, *apply_words(less))
    whole = await command(service, *apply_words(less), "--whole")
    listed = await command(service, "list")
    as_json = await command(service, "list", "--json")

    assert (0, "added one, ENABLED\nadded two, ENABLED\n", "") == first
    assert "nothing changes: all 2 accounts are as in the file\n" == again[1]
    assert (
        "changed one to version 2, DRAINING: state\nnot in the file, and left as they are: two\n"
    ) == partly[1]
    assert "changed two to version 2, DISABLED: state\n" == whole[1]
    lines = [line.split() for line in listed[1].splitlines()]
    assert ["ACCOUNT", "STATE", "VERSION"] == lines[0][:3]
    assert [
        ["one", "DRAINING", "2", "sandbox", "v1"],
        ["two", "DISABLED", "2", "sandbox", "v1"],
    ] == [line[:5] for line in lines[1:]]
    assert ["operator/ann"] * 2 == [line[-1] for line in lines[1:]]
    documents = json.loads(as_json[1])
    assert [("one", "env:X", 2), ("two", "env:X", 2)] == [
        (one["account_id"], one["credential"], one["version"]) for one in documents
    ]


def a_row(**changes):
    return an_account().model_dump(mode="json", exclude_defaults=True) | changes


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("accounts: [", "cannot be read"),
        ("accounts: 5", "accounts"),
        ("things: []", "must hold one list named accounts"),
        (yaml.safe_dump({"accounts": [a_row(surprise=1)]}), "surprise"),
        (yaml.safe_dump({"accounts": [a_row(), a_row()]}), "names one twice"),
        (yaml.safe_dump({"accounts": [a_row(assets=["EUR", "XXQ"])]}), "does not have XXQ"),
        (yaml.safe_dump({"accounts": [a_row(credential="sk_live_123")]}), "holds a plain value"),
        (yaml.safe_dump({"accounts": [a_row(processor="nobody")]}), "there are adapters for"),
        (yaml.safe_dump({"accounts": [a_row(timeout_s=500)]}), "timeout_s"),
    ],
)
async def test_a_bad_file_is_refused_in_a_sentence_and_changes_nothing(
    service, rows, tmp_path, text, fault
):
    path = tmp_path / "bad.yaml"
    path.write_text(text)

    code, out, err = await command(service, *apply_words(path))

    assert (78, "") == (code, out)
    assert fault in err
    assert "Traceback" not in err
    assert "sk_live_123" not in err
    assert 0 == await rows.fetchval("SELECT count(*) FROM processor_accounts")


@pytest.mark.parametrize(
    ("operator", "reason", "fault"),
    [(" ", "why", "--operator"), ("ann", "\t", "--reason"), ("ann", "4111111111111111", "card")],
)
async def test_nobody_changes_an_account_without_a_name_and_a_reason(
    service, tmp_path, operator, reason, fault
):
    file = accounts_file(tmp_path / "a.yaml", an_account())

    code, _, err = await command(
        service, "apply", str(file), "--operator", operator, "--reason", reason
    )

    assert 78 == code
    assert fault in err


async def test_a_test_key_is_refused_in_production(service, tmp_path):
    file = accounts_file(tmp_path / "a.yaml", an_account(credential="test:sk_1"))

    code, _, err = await command(service, *apply_words(file), CASHIER_ENVIRONMENT="production")

    assert (78, True) == (code, "holds a plain value" in err)


@asynccontextmanager
async def gateway(service, tmp_path, file, **extra):
    process = GatewayProcess(tmp_path / "serve", service, file)
    try:
        process.start(X="secret", **extra)
        async with process.channel() as channel:
            yield stub_of(channel)
    finally:
        process.kill()


async def offered(stub):
    answer = await stub.ListCapabilities(pb.ListCapabilitiesRequest())
    return {account.account_id: account for account in answer.accounts}


async def test_a_running_gateway_takes_up_what_is_applied(service, tmp_path):
    file = accounts_file(tmp_path / "a.yaml", an_account())
    async with gateway(service, tmp_path, file) as stub:
        before = await offered(stub)
        changed = an_account(state="DRAINING", fees={"version": "v2", "percent_bps": 10})
        await command(
            service,
            *apply_words(accounts_file(tmp_path / "b.yaml", changed, an_account(account_id="two"))),
        )
        async with asyncio.timeout(TAKEN_UP_WITHIN_S):
            while "two" not in await offered(stub):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        after = await offered(stub)
    async with gateway(service, tmp_path, file) as stub:
        restarted = await offered(stub)

    assert State.STATE_ENABLED == before["one"].state
    assert (State.STATE_DRAINING, "v2") == (after["one"].state, after["one"].fee_schedule.version)
    assert after == restarted, "the file of the settings does not undo what a person applied"


async def test_development_starts_with_the_accounts_of_the_sandbox(service, tmp_path):
    async with gateway(service, tmp_path, "", CASHIER_PROCESSOR_ACCOUNTS="") as stub:
        found = await offered(stub)

    assert {"sandbox-us", "sandbox-eu", "sandbox-latam"} <= set(found)
