"""A sandbox that dies and comes back forgets nothing, and says so when it cannot remember."""

import re
import subprocess
import sys

from tests.support.sandbox_process import Sandbox, running_sandbox
from tests.support.waiting import until


async def test_a_kill_and_restart_keep_ledger_keys_and_closed_doors(tmp_path):
    with running_sandbox(tmp_path) as sandbox:
        async with sandbox.account() as account, sandbox.control() as control:
            _, charge, _ = await account.charge("k-kept", "tok_wrong_amount")
            await account.post("/v1/keys/k-shut/close")
            before = await control.get("/control/ledger")
        sandbox.kill()
        with sandbox.ledger_path.open("ab") as file:
            file.write(b'{"seq":3,"at":"2026-')
        sandbox.start()
        async with sandbox.account() as account, sandbox.control() as control:
            after = await control.get("/control/ledger")
            _, again, headers = await account.charge("k-kept", "tok_wrong_amount")
            shut, body, _ = await account.charge("k-shut")
        log = sandbox.log()

    assert before == after
    assert (charge, "true") == (again, headers["Idempotent-Replayed"])
    assert (409, "key_closed") == (shut, body["error"]["code"])
    assert "torn_line_cut" in log


async def test_what_fell_due_while_the_sandbox_was_down_is_answered_when_it_is_back(tmp_path):
    """The ledger says when: one of two waiting charges is moved there to a time that is past."""
    with running_sandbox(tmp_path) as sandbox:
        async with sandbox.account() as account:
            _, due, _ = await account.charge("k-due", "tok_pending_3600")
            _, early, _ = await account.charge("k-early", "tok_pending_3600")
        sandbox.kill()
        ledger = sandbox.ledger_path
        first, *rest = ledger.read_text().splitlines(keepends=True)
        ledger.write_text("".join([re.sub(r'("due_ms": ?)[0-9]+', r"\g<1>1", first), *rest]))
        sandbox.start()
        async with sandbox.account() as account:
            answered = await until(lambda: _resolved(account, due["id"]))
            waits = await account.get(f"/v1/charges/{early['id']}")

    assert ["pending"] * 2 == [due["status"], early["status"]]
    assert ("succeeded", "pending") == (answered["status"], waits["status"])


async def _resolved(account, charge):
    found = await account.get(f"/v1/charges/{charge}")
    return None if found["status"] == "pending" else found


def test_a_damaged_ledger_is_refused_in_a_sentence(tmp_path):
    sandbox = Sandbox(tmp_path)
    sandbox.ledger_path.write_text('{"seq":1}\n{"seq":2}\n')

    done = subprocess.run(
        [sys.executable, "-m", "cashier_sandbox", "serve"],
        env=sandbox.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert 1 == done.returncode
    assert "line 1 of" in done.stderr
    assert "Traceback" not in done.stderr
