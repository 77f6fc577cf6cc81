"""The contract's words for an authentication are the domain's words."""

import pytest

from cashier.payments.v1.authentication_pb2 import Authentication
from cashier_router.domain.authentication.attempt import EvidenceKind, Flow
from cashier_router.domain.authentication.exemptions import Exemption
from cashier_router.domain.authentication.liability import Party
from cashier_router.domain.authentication.lifecycle import AuthenticationState
from cashier_router.domain.authentication.policy import Treatment


@pytest.mark.parametrize(
    ("contract", "prefix", "words"),
    [
        (Authentication.State, "STATE", AuthenticationState),
        (Authentication.Flow, "FLOW", Flow),
        (Authentication.Treatment, "TREATMENT", Treatment),
        (Authentication.Exemption, "EXEMPTION", Exemption),
        (Authentication.Liability, "LIABILITY", Party),
        (Authentication.Evidence.Kind, "KIND", EvidenceKind),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_contract_has_every_word_and_no_other(contract, prefix, words):
    told = {f"{prefix}_{word.name}" for word in words} | {f"{prefix}_UNSPECIFIED"}

    assert told == set(contract.keys())
