"""Who pays: a name, an e-mail address and a document, checked and never shown."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cashier_common.errors import FieldInvalid, FieldRequired
from cashier_common.money import Money
from cashier_gateway.domain.call import Call, Command, Kind, Request
from cashier_gateway.domain.payer import Payer, check_payer

NAME = "payments/pay_aaaaaaaaaaaaaaaaaaaaaaaaaa/operations/1"
PAYER = Payer("Maria da Silva", "maria@example.com", "529.982.247-25")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("country", "document"),
    [
        ("BR", "52998224725"), ("BR", "529.982.247-25"), ("BR", "11.222.333/0001-81"),
        ("MX", "GODE561231GR8"), ("MX", "gode-561231-gr8"), ("MX", "GODE561231HDFRRN04"),
        ("AR", "20-12345678-3"),
    ],
)  # fmt: skip
def test_a_document_of_its_country_is_taken(country, document):
    check_payer(replace(PAYER, document=document), country)


@pytest.mark.parametrize(
    ("country", "document"),
    [
        ("BR", "52998224726"), ("BR", "11111111111"), ("BR", "GODE561231GR8"), ("BR", "5299822"),
        ("MX", "52998224725"), ("AR", "?!"),
    ],
)  # fmt: skip
def test_any_other_document_is_refused_without_being_shown(country, document):
    with pytest.raises(FieldInvalid) as refused:
        check_payer(replace(PAYER, document=document), country)

    assert "customer.document" == refused.value.field
    assert document not in f"{refused.value} {refused.value.facts()}"


@pytest.mark.parametrize(
    ("payer", "country", "field"),
    [
        (None, "BR", "customer.document"),
        (replace(PAYER, document=""), "BR", "customer.document"),
        (replace(PAYER, name=" "), "BR", "instrument.holder_name"),
        (replace(PAYER, email=""), "BR", "customer.email"),
        (PAYER, "", "customer.country"),
    ],
)
def test_who_pays_has_to_be_said(payer, country, field):
    with pytest.raises(FieldRequired) as refused:
        check_payer(payer, country)

    assert field == refused.value.field


def test_a_payer_is_never_printed_and_no_part_of_the_fingerprint():
    command = Command("m", NAME, "dlocal", Money(1, "BRL"), Request(kind=Kind.AUTHORIZE))
    told = replace(command, payer=PAYER)

    assert "Maria" not in repr(told) + str(Call.submitted(told, b"", traceparent="", at=NOW))
    assert command.fingerprint == told.fingerprint
    assert "52998224725" not in str(told.request.to_json())


def test_installments_are_part_of_the_fingerprint_and_none_is_as_it_was():
    command = Command("m", NAME, "dlocal", Money(1, "BRL"), Request(kind=Kind.AUTHORIZE))
    told = {
        replace(command, request=replace(command.request, installments=count)).fingerprint
        for count in (0, 2, 3)
    }

    assert 3 == len(told)
    assert command.fingerprint in told
