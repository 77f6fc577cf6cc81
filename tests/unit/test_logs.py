"""Log lines are JSON, carry the trace, and hold no secrets."""

import io
import logging
import sys

import orjson
import pytest
import structlog

from cashier_common.logs import CallLog, call_log, configure_logging
from cashier_common.redact import CARD_MASK
from cashier_common.rpc.call import Call
from cashier_common.settings import ServiceSettings
from cashier_common.telemetry import Trace, enter, leave

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=False)


@pytest.fixture
def lines(monkeypatch):
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, write_through=True))
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging(ServiceSettings(), "router")
    yield lambda: [orjson.loads(line) for line in output.getvalue().splitlines()]
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def test_a_line_is_json_with_service_time_and_the_trace_even_if_nobody_records_it(lines):
    token = enter(TRACE)
    try:
        structlog.get_logger().info("settled", count=2)
    finally:
        leave(token)

    (line,) = lines()
    assert ("settled", "router", 2, TRACE.trace_id, "info") == tuple(
        line[name] for name in ("event", "service", "count", "trace_id", "level")
    )


def test_no_card_number_and_no_secret_gets_past(lines):
    structlog.get_logger().warning(
        "refused 4111-1111-1111-1111", api_key="k", password="p", note=["378282246310005"]
    )

    (line,) = lines()
    assert (f"refused {CARD_MASK}", "[secret]", "[secret]", [CARD_MASK]) == tuple(
        line[name] for name in ("event", "api_key", "password", "note")
    )


def test_a_stack_is_logged_masked_and_without_local_values(lines):
    try:
        secret_local = "hunter2"
        raise ValueError(f"card 4111111111111111 {len(secret_local)}")  # noqa: TRY301
    except ValueError as error:
        structlog.get_logger().error("call_failed", exc_info=error)

    (line,) = lines()
    assert "ValueError" in line["exception"]
    assert "4111111111111111" not in line["exception"]


def test_what_a_library_logs_has_the_same_form(lines):
    logging.getLogger("alembic").warning("card %s", "4111111111111111")
    logging.getLogger("alembic").info("not worth a line")

    (line,) = lines()
    assert (f"card {CARD_MASK}", "router", "alembic") == (
        line["event"],
        line["service"],
        line["logger"],
    )


def test_the_line_of_a_call_masks_a_merchant_that_nobody_checked_yet():
    written: list[bytes] = []
    call = Call("/a.B/C")
    call.merchant = "4111111111111111"

    CallLog("router", written.append).ended(call, code="OK", reason="", duration_s=0.0015)

    line = orjson.loads(written[0])
    assert (CARD_MASK, 1.5) == (line["merchant"], line["duration_ms"])


def test_a_log_level_over_info_silences_the_line_of_each_call(capsysbinary):
    quiet = call_log(ServiceSettings(log_level="WARNING"), "router")

    quiet.ended(Call("/a.B/C"), code="OK", reason="", duration_s=0)

    assert b"" == capsysbinary.readouterr().out
