"""What applying a list of accounts changes, and what it never does."""

from datetime import UTC, datetime

import pytest

from cashier_common.settings import SettingsRefused
from cashier_gateway.app import ADAPTERS
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.account_change import (
    AccountFixed,
    KeptAccount,
    changes_of,
    document_of,
)
from cashier_gateway.storage.accounts import check_account
from tests.unit.test_gateway_account import an_account

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def kept(account, version=3):
    return KeptAccount(account.account_id, version, document_of(account), "operator/ann", AT)


def test_a_document_is_the_same_for_the_same_account_and_reads_back_as_it():
    merchants = [f"merchant-{number}" for number in range(50)]

    one = document_of(an_account(merchants=merchants))

    assert one == document_of(an_account(merchants=merchants[::-1]))
    assert sorted(merchants) == one["merchants"]
    assert an_account(merchants=merchants) == ProcessorAccount.model_validate(one)


def test_only_what_is_new_or_differs_is_a_change():
    same, other, new = (an_account(account_id=name) for name in ("same", "other", "new"))
    slower = an_account(account_id="other", timeout_s=5, state="DRAINING")

    changes = changes_of([same, slower, new], [kept(same), kept(other)], whole=False)

    assert [
        ("new", 1, "ABSENT", "ENABLED"),
        ("other", 4, "ENABLED", "DRAINING"),
    ] == [(c.account_id, c.version, c.before_state, c.state) for c in changes]
    assert ("state", "timeout_s") == changes[1].fields


def test_what_the_list_does_not_name_stays_or_is_disabled_and_never_goes():
    named, other = an_account(account_id="named"), an_account(account_id="other")
    there = [kept(named), kept(other)]

    assert [] == changes_of([named], there, whole=False)
    changes = changes_of([named], there, whole=True)

    assert [("other", "DISABLED", ("state",))] == [
        (c.account_id, c.state, c.fields) for c in changes
    ]
    gone = KeptAccount("other", 4, changes[0].document, "operator/ann", AT)
    assert [] == changes_of([named], [kept(named), gone], whole=True)


@pytest.mark.parametrize("change", [{"processor": "stripe"}, {"merchant_account": "Other"}])
def test_an_account_with_its_calls_never_becomes_another_one(change):
    with pytest.raises(AccountFixed, match="account one has the"):
        changes_of([an_account(**change)], [kept(an_account())], whole=False)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"credential": "sk_live_123"}, "credential of one holds a plain value"),
        ({"credential": "env:KEY|sk_live_123"}, "credential of one holds a plain value"),
        ({"webhook_secrets": ["env:A", "whsec_1"]}, "webhook_secrets of one holds a plain value"),
        ({"credential": "test:sk"}, "credential of one holds a plain value"),
        ({"base_url": "https://ann:secret@psp.example"}, "base_url of one holds a user"),
        ({"processor": "nobody"}, "account one is at nobody"),
    ],
)
def test_a_secret_in_place_of_its_reference_is_refused_and_not_repeated(change, fault):
    with pytest.raises(SettingsRefused, match=fault) as refused:
        check_account(an_account(**change), ADAPTERS, development=False)

    for secret in ("sk_live_123", "whsec_1", "secret@", "test:sk"):
        assert secret not in str(refused.value)


def test_a_test_key_may_stand_in_the_file_of_development():
    check_account(an_account(credential="test:sk"), ADAPTERS, development=True)
