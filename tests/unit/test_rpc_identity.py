"""The access policy is read strictly and answers for callers, methods and merchants."""

import pytest

from cashier_common.rpc.identity import (
    CallerUnknown,
    MerchantDenied,
    MethodDenied,
    load_policy,
    parse_policy,
)
from cashier_common.settings import SettingsRefused

ROUTER = "spiffe://cashier.local/service/router"
ASSESS = "/cashier.risk.v1.RiskService/Assess"


def a_policy(**rule):
    values = {"merchants": ["acme"], "methods": [ASSESS]} | rule
    return parse_policy({"callers": {ROUTER: values}}, "policy.yaml")


def test_a_grant_is_worked_out_once():
    policy = a_policy()

    assert policy.grant(ROUTER, ASSESS) is policy.grant(ROUTER, ASSESS)


def test_a_caller_may_do_what_its_rule_lists_and_nothing_else():
    policy = a_policy(methods=["/cashier.risk.v1.RiskService/*"])

    policy.grant(ROUTER, ASSESS).check_merchant("acme")
    with pytest.raises(MethodDenied):
        policy.grant(ROUTER, "/cashier.risk.v1.RiskServiceAdmin/Assess")
    with pytest.raises(MethodDenied):
        policy.grant(ROUTER, "/cashier.risk.v1.RiskAdminService/UpsertParty")
    with pytest.raises(CallerUnknown):
        policy.grant(ROUTER + "2", ASSESS)
    with pytest.raises(CallerUnknown):
        policy.grant("", ASSESS)


@pytest.mark.parametrize("merchant", ["other", "", "acme2", "*"])
def test_a_merchant_outside_the_rule_is_denied(merchant):
    with pytest.raises(MerchantDenied):
        a_policy().grant(ROUTER, ASSESS).check_merchant(merchant)


def test_a_star_is_every_merchant_and_also_none_named():
    grant = a_policy(merchants=["*"]).grant(ROUTER, ASSESS)

    grant.check_merchant("anybody")
    grant.check_merchant("")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (None, "one mapping `callers`"),
        ({}, "one mapping `callers`"),
        ({"callers": {}}, "one mapping `callers`"),
        ({"callers": {ROUTER: {}}, "more": 1}, "one mapping `callers`"),
        ({"callers": {ROUTER: {"merchants": ["*"]}}}, "exactly the lists"),
        ({"callers": {ROUTER: {"merchants": "acme", "methods": ["*"]}}}, "`merchants` must be"),
        ({"callers": {ROUTER: {"merchants": [], "methods": ["*"]}}}, "`merchants` must be"),
        ({"callers": {ROUTER: {"merchants": ["*", "acme"], "methods": ["*"]}}}, "merchant *"),
        ({"callers": {ROUTER: {"merchants": ["Acme"], "methods": ["*"]}}}, "merchant Acme"),
        ({"callers": {ROUTER: {"merchants": ["*"], "methods": ["Assess"]}}}, "method Assess"),
        ({"callers": {ROUTER: {"merchants": ["*"], "methods": ["/a.B/C*"]}}}, "method /a.B/C*"),
        ({"callers": {"router": {"merchants": ["*"], "methods": ["*"]}}}, "caller router must"),
    ],
)
def test_a_faulty_policy_is_refused_with_its_fault(document, complaint):
    with pytest.raises(SettingsRefused) as raised:
        parse_policy(document, "policy.yaml")

    assert complaint in str(raised.value)
    assert str(raised.value).startswith("policy.yaml: ")


def test_a_policy_file_that_is_not_there_or_not_yaml_is_named(tmp_path):
    broken = tmp_path / "policy.yaml"
    broken.write_text("callers: [")

    for path, complaint in ((tmp_path / "none.yaml", "cannot be read"), (broken, "is not YAML")):
        with pytest.raises(SettingsRefused) as raised:
            load_policy(path)
        assert complaint in str(raised.value)
        assert str(path) in str(raised.value)
