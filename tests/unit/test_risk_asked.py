"""A request becomes facts in one spelling, and no personal data comes along."""

import pytest

from cashier.common.v1 import options_pb2
from cashier.risk.v1 import risk_service_pb2
from cashier_common.errors import AssetUnknown, FieldInvalid
from cashier_risk.domain.facts import Facts
from cashier_risk.domain.outcome import Outcome
from cashier_risk.rpc.asked import asked, report
from tests.support.risk_facts import MERCHANT, assess_request


def test_a_country_in_any_spelling_is_one_country():
    spelled = [asked(assess_request("a", customer__country=text)) for text in ("IR", "ir", " iR ")]

    assert {"IR"} == {found.customer_country for found in spelled}
    assert 1 == len({found.fingerprint() for found in spelled})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("customer__country", "IRN"),
        ("customer__country", "Iran"),
        ("customer__country", "ZZ"),
        ("customer__country", "IR-23"),
        ("customer__subdivision", "ZZ-1"),
        ("instrument__issuer_country", "I"),
        ("jurisdiction", "XX"),
        ("jurisdiction", "US_NJ"),
        ("payment", "payments/1"),
        ("payment", "pay_aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("amount__minor", -1),
        ("customer__tags", ["x" * 65]),
        ("customer__tags", [str(number) for number in range(33)]),
        ("device__fingerprint", "x" * 129),
    ],
)
def test_what_could_slip_past_a_rule_is_refused_by_name(field, value):
    with pytest.raises(FieldInvalid) as refused:
        asked(assess_request("a", **{field: value}))

    assert refused.value.field.endswith(field.rpartition("__")[2])


def test_an_asset_that_nobody_knows_is_refused():
    with pytest.raises(AssetUnknown):
        asked(assess_request("a", amount__asset_code="usd"))


def test_kosovo_and_a_state_of_the_union_are_places():
    found = asked(assess_request("a", customer__country="xk", jurisdiction="us-nj"))

    assert ("XK", "US-NJ") == (found.customer_country, found.jurisdiction)


def test_personal_data_is_in_neither_the_snapshot_nor_the_fingerprint():
    """The contract marks personal data; each such field is filled and must not come through."""
    personal, plain = assess_request("a"), assess_request("a")
    filled = _fill_personal(personal, [])
    _fill_personal(plain, [], marker="other-marker")

    snapshot = Facts(asked(personal), {}, degraded=False).snapshot().decode()

    assert {"email", "ip_address", "holder_name", "line1"} <= set(filled)
    assert "personal-marker" not in snapshot
    assert asked(personal).fingerprint() == asked(plain).fingerprint()


def test_a_wallet_in_checksum_case_is_the_same_wallet():
    mixed = assess_request(
        "a", instrument__wallet_address="0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )
    lower = assess_request(
        "a", instrument__wallet_address="0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"
    )
    tron = assess_request("a", instrument__wallet_address="TJRabPrwbZy45sbavfcjinPJC18kjpRTv8")

    assert asked(mixed).wallet == asked(lower).wallet
    assert "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8" == asked(tron).wallet


def test_every_outcome_of_the_contract_can_be_reported():
    values = [v for v in risk_service_pb2.ReportOutcomeRequest.Outcome.values() if v]
    requests = [
        risk_service_pb2.ReportOutcomeRequest(
            merchant=MERCHANT, payment=assess_request("a").payment, outcome=value
        )
        for value in values
    ]

    assert set(Outcome) == {report(request).outcome for request in requests}


def _fill_personal(message, filled, *, marker="personal-marker", inherited=False):
    for field in message.DESCRIPTOR.fields:
        personal = inherited or field.GetOptions().Extensions[options_pb2.personal_data]
        if field.message_type is not None and not field.is_repeated:
            _fill_personal(getattr(message, field.name), filled, marker=marker, inherited=personal)
        elif personal and field.cpp_type == field.CPPTYPE_STRING and not field.is_repeated:
            setattr(message, field.name, marker)
            filled.append(field.name)
    return filled
