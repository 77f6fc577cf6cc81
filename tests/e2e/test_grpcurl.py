"""The commands that the README shows work as they stand, with grpcurl and with buf."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
COMMAND_S = 30.0
SCOPE = "cashier.payments.v1.PaymentService"

GRPCURL = """\
checkout() {
  .venv/bin/grpcurl -cacert .cashier/certs/authority.pem \\
    -cert .cashier/certs/client-checkout.pem -key .cashier/certs/client-checkout.key "$@"
}
"""
BUF = """\
buf_checkout() {
  .venv/bin/buf curl --protocol grpc --cacert .cashier/certs/authority.pem \\
    --cert .cashier/certs/client-checkout.pem --key .cashier/certs/client-checkout.key "$@"
}
"""
PAYMENT = """\
{
  "merchant": "acme-games",
  "merchant_reference": "order-1001",
  "amount": {"minor": 1999, "asset_code": "USD"},
  "instrument": {
    "method": "PAYMENT_METHOD_CARD", "brand": "visa", "issuer_country": "US",
    "fingerprint": "my-first-card",
    "tokens": [
      {"scope": "SCOPE_PROCESSOR_ACCOUNT", "processor_account": "sandbox-us", "token": "tok_ok"}
    ]
  }
}
"""
LIST = "checkout 127.0.0.1:7401 list\n"
DESCRIBE = f"checkout 127.0.0.1:7401 describe {SCOPE}.CreatePayment\n"
CREATE = f"""\
checkout -H 'idempotency-key: my-first-payment' -d @ \\
  127.0.0.1:7401 {SCOPE}/CreatePayment <<'JSON'
{PAYMENT}JSON
"""
GET = f"""\
checkout -d '{{"merchant": "acme-games", "name": "payments/pay_…"}}' \\
  127.0.0.1:7401 {SCOPE}/GetPayment
"""
HEALTH = f"""\
checkout -d '{{"service": "{SCOPE}"}}' 127.0.0.1:7401 grpc.health.v1.Health/Check
"""
BUF_LIST = "buf_checkout --list-methods https://127.0.0.1:7401\n"
BUF_CREATE = f"""\
buf_checkout -H 'idempotency-key: my-first-payment' -d @- \\
  https://127.0.0.1:7401/{SCOPE}/CreatePayment <<'JSON'
{PAYMENT}JSON
"""
BUF_GET = f"""\
buf_checkout -d '{{"merchant": "acme-games", "name": "payments/pay_…"}}' \\
  https://127.0.0.1:7401/{SCOPE}/GetPayment
"""


@pytest.fixture(scope="module")
def shell(whole_mesh):
    """Runs what a person pastes, with this mesh's ports and certificates."""

    def run(commands, payment="payments/pay_…"):
        port = whole_mesh.targets["router"].rpartition(":")[2]
        script = GRPCURL + BUF + commands
        script = script.replace(":7401", f":{port}").replace("payments/pay_…", payment)
        script = script.replace(".cashier/certs", str(whole_mesh.mesh.config.data_dir / "certs"))
        return subprocess.run(
            ["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False,
            timeout=COMMAND_S,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def created(shell):
    return shell(CREATE)


def name_in(output):
    return re.search(r'"name": ?"(payments/pay_[a-z2-7]{26})"', output)[1]


def test_grpcurl_lists_the_services_of_a_server(shell):
    listed = shell(LIST).stdout.split()

    assert {SCOPE, "cashier.payments.v1.PaymentAdminService", "grpc.health.v1.Health"} <= set(
        listed
    )


def test_grpcurl_describes_a_method(shell):
    described = shell(DESCRIBE)

    assert f"{SCOPE}.CreatePayment is a method:" in described.stdout
    assert "returns ( .cashier.payments.v1.Payment )" in described.stdout


def test_grpcurl_makes_a_payment_and_reads_it(shell, created):
    read = shell(GET, name_in(created.stdout))

    assert "" == created.stderr
    assert '"state": "STATE_SUCCEEDED"' in created.stdout
    assert created.stdout == read.stdout


def test_grpcurl_shows_why_a_call_was_refused(shell, created):
    other_amount = shell(CREATE.replace("1999", "2999"))

    assert 0 != other_amount.returncode
    assert "Code: FailedPrecondition" in other_amount.stderr
    assert '"reason":"IDEMPOTENCY_KEY_REUSED"' in other_amount.stderr
    assert '"domain":"payments.cashier"' in other_amount.stderr


def test_grpcurl_asks_for_a_services_health(shell):
    assert '"status": "SERVING"' in shell(HEALTH).stdout


def test_buf_lists_the_methods_of_a_server(shell):
    assert f"{SCOPE}/CreatePayment" in shell(BUF_LIST).stdout.split()


def test_buf_makes_the_same_payment_again_and_it_is_the_same(shell, created):
    again = shell(BUF_CREATE)
    read = shell(BUF_GET, name_in(created.stdout))

    assert name_in(created.stdout) == name_in(again.stdout)
    assert again.stdout == read.stdout


def test_buf_shows_why_a_call_was_refused(shell):
    refused = shell(BUF_GET)

    assert 8 * 5 == refused.returncode  # eight times NOT_FOUND
    assert '"type": "google.rpc.ErrorInfo"' in refused.stderr


def test_the_readme_shows_only_commands_that_are_tried_here():
    tried = (
        GRPCURL + BUF + LIST + DESCRIBE + CREATE + GET + HEALTH + BUF_LIST + BUF_CREATE + BUF_GET
    )

    shown = [
        line
        for line in README.read_text(encoding="utf-8").splitlines()
        if re.match(r"(buf_)?checkout |\s+\.venv/bin/(grpcurl|buf) ", line)
    ]

    assert [] == [line for line in shown if line not in tried.splitlines()]
