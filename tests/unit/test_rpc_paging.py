"""A page token continues one list and no other."""

import base64

import pytest

from cashier_common.errors import FieldInvalid, PageTokenInvalid
from cashier_common.rpc.paging import Page, Pager, pager
from cashier_common.settings import ServiceSettings

PAGER = Pager(b"secret")
FILTER = ("ListPayments", "acme", "state=FAILED")


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (1_000, 1_000), (5_000, 1_000)])
def test_a_page_size_has_a_default_and_a_cap(asked, given):
    assert Page(given, None) == PAGER.read(page_size=asked, page_token="", bound_to=FILTER)


def test_a_negative_page_size_is_refused():
    with pytest.raises(FieldInvalid):
        PAGER.read(page_size=-1, page_token="", bound_to=FILTER)


def test_a_token_continues_where_the_page_ended():
    token = PAGER.token(("2026-11-22T00:00:00Z", 7), bound_to=FILTER)

    page = PAGER.read(page_size=10, page_token=token, bound_to=FILTER)

    assert Page(10, ("2026-11-22T00:00:00Z", 7)) == page


@pytest.mark.parametrize(
    "bound_to", [("ListPayments", "other", "state=FAILED"), FILTER[:2], (*FILTER, "x")]
)
def test_a_token_of_another_filter_is_refused(bound_to):
    token = PAGER.token(("a",), bound_to=FILTER)

    with pytest.raises(PageTokenInvalid):
        PAGER.read(page_size=10, page_token=token, bound_to=bound_to)


@pytest.mark.parametrize("token", ["x", "no base64!", "é", "AAAA", "_" * 64, "A" * 2_000])
def test_a_token_of_nobody_is_refused(token):
    with pytest.raises(PageTokenInvalid):
        PAGER.read(page_size=10, page_token=token, bound_to=FILTER)


def test_every_changed_byte_of_a_token_is_noticed():
    raw = base64.urlsafe_b64decode(PAGER.token(("a", 1), bound_to=FILTER))
    for index in range(len(raw)):
        forged = bytes([*raw[:index], raw[index] ^ 1, *raw[index + 1 :]])

        with pytest.raises(PageTokenInvalid):
            PAGER.read(
                page_size=10, page_token=base64.urlsafe_b64encode(forged).decode(), bound_to=FILTER
            )


def test_replicas_share_a_key_and_services_do_not():
    settings = ServiceSettings(database_url="postgresql://app:x@h/router")
    token = pager(settings, "payments.cashier").token(("a",), bound_to=FILTER)

    again = pager(settings, "payments.cashier").read(page_size=1, page_token=token, bound_to=FILTER)

    assert ("a",) == again.after
    with pytest.raises(PageTokenInvalid):
        pager(settings, "risk.cashier").read(page_size=1, page_token=token, bound_to=FILTER)
