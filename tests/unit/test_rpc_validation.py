"""A request is held against its own contract."""

import pytest
from google.protobuf import message_factory
from google.protobuf.duration_pb2 import Duration

from cashier.common.v1.money_pb2 import Money
from cashier.gateway.v1 import gateway_service_pb2
from cashier.payments.v1 import payment_service_pb2
from cashier.payments.v1.payment_service_pb2 import ListPaymentsRequest
from cashier_common.errors import FieldInvalid, FieldRequired, Refusal
from cashier_common.rpc.validation import Plans
from tests.contract.mesh_fixture import a_parcel
from tests.contract.parcels import pb

PLANS = Plans({"parcels.v1.SendParcelRequest.manifest": 5_000})
PLAN = PLANS.plan(pb.SendParcelRequest.DESCRIPTOR)
STREET = pb.Address(street="s")


def test_a_good_request_passes():
    PLAN.check(a_parcel(note="Zoë's café", labels={"a": "b"}, stops=[STREET], tags=["x"] * 100))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"merchant": ""}, "merchant"),
        ({"size": pb.SIZE_UNSPECIFIED}, "size"),
        ({"address": None}, "address"),
        ({"address": pb.Address()}, "address.street"),
        ({"address": pb.Address(street="s", forward=pb.Address())}, "address.forward.street"),
        ({"stops": [STREET, pb.Address()]}, "stops.street"),
        ({"depots": {"a": pb.Address()}}, "depots.value.street"),
        ({"cash": None}, "payment"),
        ({"merchant": "  "}, "merchant"),
        ({"address": pb.Address(street="\u3000\u00a0\u200b ")}, "address.street"),
        ({"stops": [STREET, pb.Address(street=" ")]}, "stops.street"),
        ({"voucher": " "}, "voucher"),
        ({"voucher": ""}, "voucher"),
    ],
)
def test_what_the_contract_requires_is_required_at_any_depth(changes, field):
    with pytest.raises(FieldRequired) as raised:
        PLAN.check(a_parcel(**changes))

    assert field == raised.value.field


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"note": "x" * 2_049}, "note", "2049 characters long"),
        ({"note": "a\x00b"}, "note", "text with the control character U+0000"),
        ({"note": "a\nb"}, "note", "text with the control character U+000A"),
        ({"note": "a\x85b"}, "note", "text with the control character U+0085"),
        ({"manifest": "x" * 5_001}, "manifest", "5001 characters long"),
        ({"manifest": "a\x1b[0m"}, "manifest", "text with the control character U+001B"),
        ({"tags": ["x"] * 101}, "tags", "101 items long"),
        ({"tags": ["fine", "\x07"]}, "tags", "text with the control character U+0007"),
        ({"labels": {str(n): "" for n in range(51)}}, "labels", "51 entries long"),
        ({"labels": {"a\x00": ""}}, "labels.key", "text with the control character U+0000"),
        ({"labels": {"a": "x" * 2_049}}, "labels.value", "2049 characters long"),
        ({"wrapping": 77}, "wrapping", "77"),
        ({"size": 77}, "size", "77"),
        ({"parcel": pb.Parcel(name="parcels/1")}, "parcel.name", "set by the caller"),
        ({"merchant": "Acme"}, "merchant", "Acme"),
        ({"merchant": "acme\n"}, "merchant", "text with the control character U+000A"),
        ({"merchant": "a" * 64}, "merchant", "a" * 64),
    ],
)
def test_what_the_contract_forbids_is_refused_by_name(changes, field, value):
    with pytest.raises(FieldInvalid) as raised:
        PLAN.check(a_parcel(**changes))

    assert (field, value) == (raised.value.field, raised.value.value)


def test_blanks_are_fine_where_nothing_is_required():
    PLAN.check(a_parcel(note="  ", tags=[" "], manifest="\n"))


def test_a_document_may_have_lines():
    PLAN.check(a_parcel(manifest="one\ntwo\tthree\r\n"))


def test_a_type_that_contains_itself_has_one_plan():
    assert PLANS.plan(pb.Address.DESCRIPTOR) is PLANS.plan(pb.Address.DESCRIPTOR)


def test_a_deep_request_is_checked_to_the_bottom():
    address = pb.Address()
    for _ in range(40):
        address = pb.Address(street="s", forward=address)

    with pytest.raises(Refusal) as raised:
        PLAN.check(a_parcel(address=address))

    assert "address" + ".forward" * 40 + ".street" == raised.value.facts()["field"]


@pytest.mark.parametrize("time", [{"seconds": 2**62}, {"seconds": -(2**62)}, {"nanos": -1}])
def test_a_time_that_no_calendar_has_is_refused(time):
    request = ListPaymentsRequest(merchant="acme-games", min_create_time=time)

    with pytest.raises(FieldInvalid) as raised:
        PLANS.plan(ListPaymentsRequest.DESCRIPTOR).check(request)

    assert "min_create_time" == raised.value.field


@pytest.mark.parametrize(
    "period",
    [
        {"seconds": 315_576_000_001},
        {"seconds": -315_576_000_001},
        {"seconds": 2**62},
        {"nanos": 1_000_000_000},
        {"nanos": -1_000_000_000},
        {"seconds": 1, "nanos": -1},
        {"seconds": -1, "nanos": 1},
    ],
)
def test_a_period_that_its_documentation_does_not_have_is_refused(period):
    with pytest.raises(FieldInvalid) as raised:
        PLAN.check(a_parcel(storage_duration=Duration(**period)))

    assert "storage_duration" == raised.value.field
    assert f"{period.get('seconds', 0)} s" in raised.value.value


@pytest.mark.parametrize(
    "period",
    [{}, {"seconds": 315_576_000_000}, {"seconds": -1, "nanos": -999_999_999}, {"nanos": 1}],
)
def test_a_period_within_its_documentation_passes(period):
    PLAN.check(a_parcel(storage_duration=Duration(**period)))


def money_fields():
    contracts = (payment_service_pb2, gateway_service_pb2)
    for contract in contracts:
        for message in contract.DESCRIPTOR.message_types_by_name.values():
            for field in message.fields:
                if field.message_type is Money.DESCRIPTOR and message.name.endswith("Request"):
                    yield pytest.param(message, field, id=f"{message.name}.{field.name}")


@pytest.mark.parametrize(("message", "field"), list(money_fields()))
@pytest.mark.parametrize("asset", ["", " "])
def test_money_without_an_asset_lacks_its_asset(message, field, asset):
    request = message_factory.GetMessageClass(message)()
    getattr(request, field.name).CopyFrom(Money(minor=5, asset_code=asset))

    with pytest.raises(FieldRequired) as raised:
        PLANS.plan(message)._checks[field.number](getattr(request, field.name), "")

    assert f"{field.name}.asset_code" == raised.value.field
