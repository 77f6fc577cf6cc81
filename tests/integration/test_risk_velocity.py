"""Losing the fast counters makes risk slower and more careful, never more generous."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import redis.asyncio

from cashier.risk.v1 import assessment_pb2, risk_service_pb2
from cashier_common.db.engine import Database
from cashier_common.redis.client import Hints
from cashier_risk.clients.counters import RedisCounters
from cashier_risk.domain.assessment import assessment_name
from cashier_risk.domain.velocity import Series
from cashier_risk.flows.refill_counters import refill_counters
from cashier_risk.rpc.asked import asked
from cashier_risk.storage.truth import DatabaseTruth
from tests.support.risk_facts import MERCHANT, assess_request
from tests.support.risk_server import (  # noqa: F401 - fixtures
    a_server,
    a_valkey,
    risk_server,
)

Assessment = assessment_pb2.Assessment
Outcome = risk_service_pb2.ReportOutcomeRequest
LIMIT = 10  # attempts with one instrument in an hour, by the shipped rules


def codes(answer):
    return [reason.code for reason in answer.reasons]


async def attempts(risk, count, *, start=0):
    for number in range(start, start + count):
        answer = await assess(risk, f"n{number}")
    return answer


async def assess(risk, key):
    return await risk.assess(assess_request(key, instrument__fingerprint="fp_tested"))


async def filled(valkey):
    """Wait until the counters of the merchant may be trusted."""
    async with redis.asyncio.Redis.from_url(valkey.url) as client:
        run = (await client.info("server"))["run_id"]
        for _ in range(200):
            if await client.get(f"risk:{{{MERCHANT}}}:filled") == run.encode():
                return
            await asyncio.sleep(0.02)
    pytest.fail("the counters were not filled within 4 s")


async def test_card_testing_is_stepped_up_at_the_limit(risk, valkey):
    await assess(risk, "first")
    await filled(valkey)

    last_good = await attempts(risk, LIMIT - 1)
    over = await assess(risk, "over")

    assert Assessment.DECISION_FRICTIONLESS == last_good.decision
    assert Assessment.DECISION_STEP_UP == over.decision
    assert ["VELOCITY_INSTRUMENT"] == codes(over)
    assert over.routing_advice.strict_accounts_only
    assert not over.degraded


async def test_asking_the_same_payment_often_is_one_attempt(risk, valkey):
    for _ in range(3 * LIMIT):
        await assess(risk, "same")

    assert Assessment.DECISION_FRICTIONLESS == (await assess(risk, "other")).decision


async def test_without_redis_the_truth_is_counted_and_the_answer_says_degraded(risk, valkey):
    await attempts(risk, LIMIT)
    valkey.kill()

    over, fresh = await assess(risk, "over"), await risk.assess(assess_request("fresh"))

    assert over.degraded
    assert {"VELOCITY_INSTRUMENT", "DEGRADED"} == set(codes(over))
    assert Assessment.DECISION_FRICTIONLESS == fresh.decision
    assert ["DEGRADED"] == codes(fresh)
    assert fresh.degraded


async def test_flushed_counters_are_not_believed(risk, valkey):
    await attempts(risk, LIMIT)
    await filled(valkey)
    async with redis.asyncio.Redis.from_url(valkey.url) as client:
        await client.flushall()

    over = await assess(risk, "over")
    await filled(valkey)
    again = await assess(risk, "again")

    assert ["VELOCITY_INSTRUMENT"] == codes(over) == codes(again)
    assert not over.degraded


async def test_a_restarted_server_is_not_believed_until_it_is_filled_again(risk, valkey):
    await attempts(risk, LIMIT)
    await filled(valkey)
    valkey._wanted_port = valkey.port
    valkey.kill()
    for file in valkey.home.glob("appendonlydir/*"):
        file.unlink()  # the crash took more than the last second with it
    valkey.start()

    for number in range(50):
        answer = await assess(risk, f"after{number}")
        assert "VELOCITY_INSTRUMENT" in codes(answer)
        if not answer.degraded:
            break
        await asyncio.sleep(0.1)
    await filled(valkey)

    assert ["VELOCITY_INSTRUMENT"] == codes(await assess(risk, "last"))


async def test_attempts_during_an_outage_count_after_it(risk, valkey):
    await assess(risk, "first")
    await filled(valkey)
    valkey._wanted_port = valkey.port
    valkey.kill()
    missed = await attempts(risk, LIMIT)
    valkey.start()

    assert missed.degraded
    for number in range(100):
        answer = await assess(risk, "first" if number % 2 else f"then{number}")
        if number % 2 == 0:
            assert "VELOCITY_INSTRUMENT" in codes(answer)
            if not answer.degraded:
                break
        await asyncio.sleep(0.05)
    await filled(valkey)
    assert ["VELOCITY_INSTRUMENT"] == codes(await assess(risk, "last"))


async def test_without_a_configured_redis_the_truth_is_enough(risk_database, tmp_path):
    async with risk_server(risk_database, tmp_path) as risk:
        good = await attempts(risk, LIMIT)
        over = await assess(risk, "over")

    assert (Assessment.DECISION_FRICTIONLESS, False) == (good.decision, good.degraded)
    assert ["VELOCITY_INSTRUMENT"] == codes(over)


@pytest.mark.parametrize("with_redis", [True, False])
async def test_a_chargeback_marks_the_card_and_the_customer(
    risk_database,
    valkey,
    tmp_path,
    with_redis,
):
    url = valkey.url if with_redis else ""
    async with risk_server(risk_database, tmp_path, redis_url=url) as risk:
        made = await risk.assess(assess_request("a"))
        if with_redis:
            await filled(valkey)
        said = {"merchant": MERCHANT, "payment": made.payment}
        await risk.report("a-chargeback", outcome=Outcome.OUTCOME_CHARGEBACK, **said)

        same_card = await risk.assess(assess_request("b", instrument__fingerprint="fp_a"))
        same_player = await risk.assess(assess_request("c", customer__customer_id="player-a"))
        stranger = await risk.assess(assess_request("d"))

    assert (Assessment.DECISION_DECLINE, ["INSTRUMENT_DISPUTED"]) == (
        same_card.decision,
        codes(same_card),
    )
    assert (Assessment.DECISION_STEP_UP, ["CUSTOMER_DISPUTED"]) == (
        same_player.decision,
        codes(same_player),
    )
    assert Assessment.DECISION_FRICTIONLESS == stranger.decision


async def test_counters_and_truth_count_alike(risk, valkey):
    """Also after a refill from the truth, and for windows that began before the first event."""
    for number in range(7):
        made = await assess(risk, f"n{number}")
        if number % 2:
            await risk.report(
                f"declined-{number}",
                merchant=MERCHANT,
                payment=made.payment,
                outcome=Outcome.OUTCOME_DECLINED,
            )
    database = await Database.connect(risk.database.app_url, name="test")
    hints = await Hints.connect(valkey.url)
    truth, counters = DatabaseTruth(database), RedisCounters(hints)
    what = asked(assess_request("n6", instrument__fingerprint="fp_tested"))
    name = assessment_name(MERCHANT, what.payment)

    for ahead in (timedelta(seconds=1), timedelta(minutes=59), timedelta(minutes=61)):
        at = datetime.now(UTC) + ahead
        counted = await counters.attempt(what.subjects, what.payment, at)
        expected = await truth.counts(what, name=name, at=at)
        if ahead < timedelta(hours=1):
            assert dict(expected) == counted.counts
            assert 3 == expected["instrument_declines_1h"]
        else:
            assert (
                3
                == expected["instrument_declines_24h"]
                == counted.counts["instrument_declines_24h"]
            )
            assert (
                0 == expected["instrument_declines_1h"] == counted.counts["instrument_declines_1h"]
            )

    async with redis.asyncio.Redis.from_url(valkey.url) as client:
        await client.flushall()

    class Now:
        def now(self):
            return datetime.now(UTC)

    assert await refill_counters(MERCHANT, counters=counters, truth=truth, clock=Now())
    at = datetime.now(UTC) + timedelta(seconds=1)
    refilled = await counters.attempt(what.subjects, what.payment, at)
    assert refilled.trusted
    assert dict(await truth.counts(what, name=name, at=at)) == refilled.counts
    assert 7 == refilled.counts["instrument_attempts_1h"]
    await hints.close()
    await database.close()


async def test_counters_that_are_away_say_none_and_never_raise(valkey):
    hints = await Hints.connect(valkey.url)
    counters = RedisCounters(hints)
    subjects = asked(assess_request("a")).subjects
    valkey.kill()

    assert await counters.attempt(subjects, "payments/x", datetime.now(UTC)) is None
    assert await counters.generation(MERCHANT) is None
    assert not await counters.trust(MERCHANT, "x")
    await counters.happened(Series.DECLINES, subjects, "payments/x", datetime.now(UTC))
    await hints.close()
