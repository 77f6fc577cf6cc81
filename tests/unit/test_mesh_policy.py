"""The development access policy, read by the code that enforces it."""

import importlib
import pkgutil

import pytest
from google.protobuf import descriptor_pool

import cashier
from cashier_common.rpc.identity import MerchantDenied, MethodDenied, load_policy
from cashier_mesh.policy import GRANTS, INSPECTION, write_policy

CREATE = "/cashier.payments.v1.PaymentService/CreatePayment"
RESOLVE = "/cashier.payments.v1.PaymentAdminService/ResolveInDoubt"
CHECKOUT = "spiffe://cashier.local/client/checkout"


@pytest.fixture
def policy(tmp_path):
    return load_policy(write_policy(tmp_path / "policy.yaml"))


def test_checkout_pays_for_its_merchants_only(policy):
    grant = policy.grant(CHECKOUT, CREATE)

    grant.check_merchant("acme-games")

    with pytest.raises(MerchantDenied):
        grant.check_merchant("somebody-else")


def test_checkout_decides_nothing_that_an_operator_decides(policy):
    with pytest.raises(MethodDenied):
        policy.grant(CHECKOUT, RESOLVE)

    policy.grant("spiffe://cashier.local/client/operator", RESOLVE).check_merchant("anybody")


def test_a_service_may_not_call_its_caller_back(policy):
    with pytest.raises(MethodDenied):
        policy.grant("spiffe://cashier.local/service/gateway", CREATE)


def test_every_method_that_the_policy_grants_exists():
    """A renamed service would leave a grant that gives nothing, and a caller without its rights."""
    for module in pkgutil.walk_packages(cashier.__path__, "cashier."):
        if module.name.endswith("_pb2"):
            importlib.import_module(module.name)
    pool = descriptor_pool.Default()
    granted = {method for grant in GRANTS for method in grant.methods} - set(INSPECTION)
    for pattern in sorted(method for method in granted if method.startswith("/cashier.")):
        _, service, method = pattern.split("/")

        found = pool.FindServiceByName(service)

        assert method == "*" or method in found.methods_by_name, pattern
