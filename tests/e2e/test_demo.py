"""The demo as a person starts it, but small: real processes, and an exit code that is earned.

It runs beside the mesh that all tests share, before they disturb its books; and alone, with a mesh
of its own and Ctrl-C, where the long tests run.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.mesh_stand_in import reachable_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]  # the first one starts the mesh

ROOT = Path(__file__).resolve().parents[2]
ROWS = 60
CALLERS = 6  # so few that an outage in the middle leaves every account enough to settle
PLAYED_WITHIN_S = 240  # with other tests on the same two cores
STOPPED_WITHIN_S = 60
ALONE = pytest.param("alone", marks=pytest.mark.long)
SANDBOX_EU_OFFSET = 2  # of its port from the control port


class Demo:
    """One demo in one data folder; alone, it stays after its run."""

    def __init__(self, data: Path, output: Path, *words: str) -> None:
        self.data = data
        self.output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command(data, "--payments", str(ROWS), "--callers", str(CALLERS), *words),
                cwd=ROOT, env=environment(), stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait(self) -> None:
        """Until the run is over: the demo has ended, or its mesh stays."""
        ends = time.monotonic() + PLAYED_WITHIN_S
        while "the mesh stays until Ctrl-C" not in self.text and self.process.poll() is None:
            assert time.monotonic() < ends, self.text
            time.sleep(0.2)

    def check(self) -> subprocess.CompletedProcess[str]:
        """Compare again, in a process of its own, against the mesh that stayed."""
        return subprocess.run(
            command(self.data, "--only-check"),
            cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def facts(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads((self.data / "mesh.lock").read_text())
        return found

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOPPED_WITHIN_S)


def command(data: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "cashier_mesh", "demo", "--data-dir", str(data), *words]


def environment() -> dict[str, str]:
    """Without the settings of whoever runs the tests; wide enough for every column."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CASHIER_")}
    return kept | {"PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module", params=["beside", ALONE])
def demo(request, tmp_path_factory):
    if request.param == "beside":
        mesh = request.getfixturevalue("mesh")
        running = Demo(mesh.config.data_dir, tmp_path_factory.mktemp("demo") / "demo.out")
        running.wait()
        yield running
        return
    with reachable_folder() as folder:
        running = Demo(folder / "data", folder / "demo.out", "--base-port", "0", "--keep")
        try:
            running.wait()
            yield running
        finally:
            if running.process.poll() is None:
                running.interrupt()


def test_the_books_agree_and_everything_that_a_person_wants_to_know_is_said(demo):
    text = demo.text

    assert demo.process.poll() in {None, 0}, text
    assert "✓ the books agree with the processors" in text
    assert "✗" not in text
    assert "DIFFER" not in text
    for line in (
        "sandbox-us goes away: it refuses every connection",
        "sandbox-us is back",
        "authorized and captured",
        "rejected by risk, never sent",
        "in review: a person has to decide",
        "saved by failover",
        "requests refused: CARD_NUMBER_REFUSED",
        "requests refused: IDEMPOTENCY_KEY_REUSED",
        "7 exceptions (7 mistakes were put into the files)",
        "One payment's way: payments/pay_",
        "cashier.payments.v1.PaymentService/GetPayment",
    ):
        assert line in text
    for kind in (
        "MISSING_IN_SETTLEMENT", "AMOUNT_MISMATCH", "DUPLICATE_SETTLEMENT", "ORPHAN_SETTLEMENT",
        "FEE_VARIANCE",
    ):  # fmt: skip
        assert kind in text


def test_payments_were_saved_by_failover_and_none_is_in_doubt(demo):
    numbers = dict(
        re.findall(r"^  (saved by failover|in doubt) +(\d+) *$", demo.text, re.MULTILINE)
    )

    assert int(numbers["saved by failover"]) >= 3
    assert 0 == int(numbers["in doubt"])


def test_the_lines_that_it_prints_for_grpcurl_and_buf_work(demo):
    lines = re.findall(r"^  (\.venv/bin/\S+.*)$", demo.text, re.MULTILINE)
    programs = Path(sys.executable).parent

    answers = [
        subprocess.run(
            shlex.split(line.replace(".venv/bin", str(programs), 1)),
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )
        for line in lines
    ]  # fmt: skip

    assert 4 == len(answers)
    assert [0] * 4 == [answer.returncode for answer in answers], [a.stderr for a in answers]
    assert "STATE_SUCCEEDED" in answers[1].stdout
    assert "STATE_SUCCEEDED" in answers[2].stdout


@pytest.mark.long
def test_a_charge_that_is_not_ours_makes_the_check_fail(demo):
    """Last: afterwards the books of this folder agree no more."""
    before = demo.check()
    control = httpx.URL(demo.facts()["peers"]["sandbox"])
    made = httpx.post(
        f"http://{control.host}:{(control.port or 0) + SANDBOX_EU_OFFSET}/v1/charges",
        headers={"Authorization": "Bearer sk_sandbox_eu", "Idempotency-Key": "foreign-1"},
        json={"amount": 1234, "currency": "EUR", "token": "tok_ok", "reference": "not-ours"},
        trust_env=False,
    )

    after = demo.check()

    assert 0 == before.returncode, before.stdout + before.stderr
    assert 201 == made.status_code
    assert 1 == after.returncode, after.stdout + after.stderr
    assert f"holds {made.json()['id']} over 12.34 EUR under not-ours" in after.stdout


@pytest.mark.parametrize("demo", [ALONE], indirect=True)
def test_ctrl_c_ends_everything_with_the_exit_code_of_the_run(demo):
    assert 0 == demo.interrupt(), demo.text
    assert "" == (demo.data / "mesh.lock").read_text()
