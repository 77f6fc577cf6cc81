"""Whether recon found the mistakes that were put into the files: those, and no others."""

import pytest

from cashier.recon.v1.exception_pb2 import ReconException
from cashier_mesh.demo.sandbox import Anomaly
from cashier_mesh.demo.settle import MEANING, MISTAKES, unexplained


def found(kind, source="ch_1", account="sandbox-us"):
    return ReconException(type=kind, processor_account=account, statement_reference=source)


@pytest.mark.parametrize("kind", MEANING)
def test_a_mistake_that_was_found_as_what_it_is_needs_no_word(kind):
    assert [] == unexplained([Anomaly("sandbox-us", kind, "ch_1")], [found(MEANING[kind])])


@pytest.mark.parametrize("kind", MEANING)
def test_a_mistake_that_was_not_found_is_said(kind):
    (sentence,) = unexplained([Anomaly("sandbox-us", kind, "ch_1")], [])

    assert f"about ch_1 that recon did not call {MEANING[kind]}" in sentence


def test_a_mistake_that_was_called_something_else_is_said_twice():
    sentences = unexplained([Anomaly("sandbox-us", "omit", "ch_1")], [found("ORPHAN_SETTLEMENT")])

    assert 2 == len(sentences)


@pytest.mark.parametrize("where", [{"source": "ch_2"}, {"account": "sandbox-eu"}], ids=str)
def test_a_finding_about_another_charge_or_account_is_no_match(where):
    wrong = found("FEE_VARIANCE", **where)

    assert 2 == len(unexplained([Anomaly("sandbox-us", "fee_off", "ch_1")], [wrong]))


def test_every_mistake_that_is_made_has_a_meaning():
    assert set(MEANING) == {kind for kinds in MISTAKES.values() for kind in kinds}
