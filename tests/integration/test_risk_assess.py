"""Risk over gRPC on real servers: one payment has one assessment, and it can be proved."""

import asyncio

import grpc
import grpc.aio
import pytest
import redis.asyncio

from cashier.common.v1 import audit_pb2
from cashier.risk.v1 import assessment_pb2, risk_admin_service_pb2, risk_service_pb2
from cashier_common.db.engine import Database
from cashier_common.db.migrate import run_migrations
from cashier_common.db.sealer import Sealer
from cashier_common.ids import payment_name
from cashier_common.rpc.status import refusal_reason
from cashier_mesh.postgres import EmbeddedPostgres
from cashier_risk.rule_sets import load_rules
from tests.support.risk_facts import MERCHANT, assess_request
from tests.support.risk_server import (  # noqa: F401 - fixtures
    KEY,
    a_server,
    a_valkey,
    risk_server,
)

Assessment, Case = assessment_pb2.Assessment, assessment_pb2.Case
Outcome = risk_service_pb2.ReportOutcomeRequest


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    info = refusal_reason(error.value)
    assert info is not None, error.value
    return error.value.code(), info.reason


async def test_fifty_callers_at_once_get_one_assessment(risk):
    calls = [risk.risk.Assess(assess_request("a"), metadata=KEY) for _ in range(50)]

    answers = await asyncio.gather(*calls)

    assert 1 == len({answer.SerializeToString(deterministic=True) for answer in answers})
    replayed = [dict(await call.trailing_metadata()).get("idempotent-replayed") for call in calls]
    assert 49 == replayed.count("true")
    assert 1 == len(await risk.rows("SELECT FROM assessments"))
    assert 1 == len(await risk.rows("SELECT FROM steps"))


async def test_an_answer_says_what_was_decided_and_from_what(risk):
    answer = await risk.assess(assess_request("a"))

    assert answer.name.startswith("assessments/asm_")
    assert (MERCHANT, payment_name(MERCHANT, "a")) == (answer.merchant, answer.payment)
    assert Assessment.DECISION_FRICTIONLESS == answer.decision
    assert load_rules(None).version == answer.rule_set_version
    assert 32 == len(answer.feature_hash)
    assert 30 * 60 == answer.expire_time.seconds - answer.create_time.seconds


async def test_a_sanctioned_country_is_declined_in_any_spelling(risk):
    for number, country in enumerate(("IR", "ir", " Kp")):
        answer = await risk.assess(assess_request(f"s{number}", customer__country=country))

        assert Assessment.DECISION_DECLINE == answer.decision
        assert "SANCTIONED_COUNTRY" == answer.reasons[0].code
        assert answer.reasons[0].hard_stop


async def test_the_same_payment_with_other_facts_is_refused_and_changes_nothing(risk):
    first = await risk.assess(assess_request("a"))

    for changed in (
        {"amount__minor": 1},
        {"customer__country": "US"},
        {"device__fingerprint": "x"},
    ):
        call = risk.risk.Assess(assess_request("a", **changed), metadata=KEY)
        assert (
            grpc.StatusCode.FAILED_PRECONDITION,
            "IDEMPOTENCY_KEY_REUSED",
        ) == await refused(call)

    assert first == await risk.assess(assess_request("a"))


async def test_what_velocity_says_later_does_not_change_a_given_answer(risk):
    card = {"instrument__fingerprint": "fp_busy"}
    first = await risk.assess(assess_request("a", **card))
    for number in range(15):
        last = await risk.assess(assess_request(f"b{number}", **card))

    again = await risk.assess(assess_request("a", **card))

    assert Assessment.DECISION_STEP_UP == last.decision
    assert first == again


async def test_a_call_without_an_idempotency_key_is_refused(risk):
    call = risk.risk.Assess(assess_request("a"))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_MISSING") == await refused(call)


async def test_a_country_that_is_none_is_refused_and_nothing_is_kept(risk):
    call = risk.risk.Assess(assess_request("a", customer__country="IRAN"), metadata=KEY)

    assert (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") == await refused(call)
    assert [] == await risk.rows("SELECT FROM assessments")


async def test_no_personal_data_is_kept(risk, valkey):
    await risk.assess(assess_request("a", instrument__holder_name="Ana Prado Secreta"))

    told = []
    for table in ("assessments", "steps", "outcomes", "rule_sets"):
        told += [str(row) for row in await risk.rows(f"SELECT t::text FROM {table} t")]  # noqa: S608
    async with redis.asyncio.Redis.from_url(valkey.url) as client:
        told += [key.decode() for key in await client.keys("*")]

    kept = " ".join(told)
    assert payment_name(MERCHANT, "a") in kept
    for personal in ("ana@example.org", "203.0.113.7", "Ana Prado"):
        assert personal not in kept
    assert not any("player-a" in key for key in told if key.startswith("risk:"))


async def test_an_assessment_is_read_by_its_merchant_alone(risk):
    made = await risk.assess(assess_request("a"))
    get = risk_admin_service_pb2.GetAssessmentRequest

    assert made == await risk.admin.GetAssessment(get(merchant=MERCHANT, name=made.name))
    for merchant, name in (("acme-fintech", made.name), (MERCHANT, "assessments/asm_none")):
        call = risk.admin.GetAssessment(get(merchant=merchant, name=name))
        assert (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND") == await refused(call)


async def test_a_replay_gives_the_same_decision_also_after_the_rules_have_changed(
    risk,
    tmp_path,
):
    requests = [
        assess_request("a"),
        assess_request("b", customer__country="IR"),
        assess_request("c", amount__minor=700_000, instrument__issuer_country="NG"),
    ]
    made = [await risk.assess(request) for request in requests]
    stricter = tmp_path / "stricter.yaml"
    stricter.write_text(load_rules(None).text.replace("score: 200", "score: 900"))
    replay = risk_admin_service_pb2.ReplayAssessmentRequest

    async with risk_server(risk.database, tmp_path, rule_set=stricter) as newer:
        changed = await newer.assess(assess_request("d", instrument__issuer_country="NG"))
        answers = [
            await server.admin.ReplayAssessment(replay(merchant=each.merchant, name=each.name))
            for server in (risk, newer)
            for each in (*made, changed)
        ]

    assert Assessment.DECISION_DECLINE == changed.decision
    assert [True] * 8 == [answer.same for answer in answers], answers
    assert [*made, changed] == [answer.assessment for answer in answers[4:]]


async def test_a_replay_says_what_somebody_changed(risk):
    made = await risk.assess(assess_request("a", amount__minor=700_000))
    await risk.rows(
        "UPDATE assessments SET features = jsonb_set(features, '{asked,amount_minor}', '1')"
    )

    answer = await risk.admin.ReplayAssessment(
        risk_admin_service_pb2.ReplayAssessmentRequest(merchant=made.merchant, name=made.name)
    )

    assert not answer.same
    assert "the stored features do not give the stored feature_hash: they were changed" in (
        answer.differences
    )
    assert "decision was STEP_UP and is FRICTIONLESS" in answer.differences


async def test_an_outcome_is_kept_once_per_key(risk):
    made = await risk.assess(assess_request("a"))
    said = {"merchant": MERCHANT, "payment": made.payment, "outcome": Outcome.OUTCOME_SUCCEEDED}

    await asyncio.gather(*(risk.report("first-report", **said) for _ in range(20)))

    assert 1 == len(await risk.rows("SELECT FROM outcomes"))
    assert ["ASSESSED", "OUTCOME_REPORTED"] == [
        row["action"] for row in await risk.rows("SELECT action FROM steps ORDER BY record_time")
    ]
    other = said | {"outcome": Outcome.OUTCOME_CHARGEBACK}
    assert (
        grpc.StatusCode.FAILED_PRECONDITION,
        "IDEMPOTENCY_KEY_REUSED",
    ) == await refused(risk.report("first-report", **other))


async def test_an_outcome_of_a_payment_that_nobody_assessed_is_refused(risk):
    call = risk.report(
        "any-report",
        merchant=MERCHANT,
        payment=payment_name(MERCHANT, "never"),
        outcome=Outcome.OUTCOME_SUCCEEDED,
    )

    assert (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND") == await refused(call)


async def test_the_record_is_sealed_proved_and_betrays_a_change(risk):
    for number in range(5):
        await risk.assess(assess_request(f"a{number}"))
    database = await Database.connect(risk.database.app_url, name="sealer")
    assert 5 == await Sealer(database).seal()
    await database.close()
    verify = risk_admin_service_pb2.VerifyAuditLogRequest

    before = await risk.admin.VerifyAuditLog(verify())
    await risk.rows(
        "UPDATE steps SET after_state = 'FRICTIONLESSER' WHERE subject IN "
        "(SELECT subject FROM steps LIMIT 1)"
    )
    after = await risk.admin.VerifyAuditLog(verify())

    assert (5, []) == (before.checked_row_count, list(before.findings))
    assert [audit_pb2.AuditFinding.KIND_CHANGED] == [finding.kind for finding in after.findings]


async def test_the_application_cannot_change_what_it_decided(risk):
    await risk.assess(assess_request("a"))
    rights = await risk.rows(
        "SELECT table_name, privilege_type FROM information_schema.table_privileges "
        "WHERE grantee LIKE '%\\_app' AND table_name IN ('assessments', 'outcomes', 'rule_sets')"
    )

    assert {"SELECT", "INSERT"} == {row["privilege_type"] for row in rights}
    assert 6 == len(rights)


async def test_what_is_not_served_says_so(risk):
    a = risk_admin_service_pb2
    entry = a.BlocklistEntry(kind="card", value="x")
    party = a.Party(merchant=MERCHANT, customer_id="p")
    limits = a.PlayerLimits(merchant=MERCHANT, customer_id="p")
    who = {"operator": "eva", "reason": "test"}
    calls = [
        risk.risk.ScreenParty(risk_service_pb2.ScreenPartyRequest(names=["x"])),
        risk.risk.ScreenAddress(risk_service_pb2.ScreenAddressRequest(address="x")),
        risk.admin.UpsertParty(a.UpsertPartyRequest(merchant=MERCHANT, party=party), metadata=KEY),
        risk.admin.PutRuleSet(
            a.PutRuleSetRequest(document_yaml="x", target_state=a.RuleSet.STATE_DRAFT, **who),
            metadata=KEY,
        ),
        risk.admin.ListRuleSets(a.ListRuleSetsRequest()),
        risk.admin.ChangeBlocklist(a.ChangeBlocklistRequest(entry=entry, **who), metadata=KEY),
        risk.admin.ListCases(a.ListCasesRequest()),
        risk.admin.ClaimCase(a.ClaimCaseRequest(name="c", operator="o", etag="e"), metadata=KEY),
        risk.admin.DecideCase(
            a.DecideCaseRequest(name="c", decision=Case.STATE_APPROVED, etag="e", **who),
            metadata=KEY,
        ),
        risk.admin.SetPlayerLimits(
            a.SetPlayerLimitsRequest(merchant=MERCHANT, limits=limits), metadata=KEY
        ),
        risk.admin.StreamDecisions(a.StreamDecisionsRequest()).read(),
        risk.admin.ImportWatchlist(iter([a.ImportWatchlistRequest()]), metadata=KEY),
    ]

    answers = [await refused(call) for call in calls]

    assert [(grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED")] * len(calls) == answers


async def test_without_its_database_risk_decides_nothing(valkey, tmp_path):
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        server._wanted_port = server.port
        database = server.provision("risk")
        await run_migrations("cashier_risk", database.owner_url)
        async with risk_server(database, tmp_path, redis_url=valkey.url) as risk:
            made = await risk.assess(assess_request("a"))
            server.kill()

            for key in ("a", "b"):
                call = risk.risk.Assess(assess_request(key), metadata=KEY)
                assert (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE") == await refused(call)

            server.start()
            assert made == await risk.assess(assess_request("a"))
