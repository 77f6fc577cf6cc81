"""The imitation of Stripe counts as Stripe does, and reads nested forms within its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cashier_common.assets import is_known
from cashier_common.money import Money
from cashier_gateway.clients.stripe.units import (
    THREE_DECIMAL,
    ZERO_DECIMAL,
    AmountNotExpressible,
    from_stripe,
)
from cashier_gateway.clients.stripe.units import to_stripe as by_the_gateway
from cashier_sandbox.domain.script import behaviour_of
from cashier_sandbox.flows.refusals import Refused
from cashier_sandbox.processors.stripe.amounts import to_ledger, to_stripe
from cashier_sandbox.processors.stripe.form import FORM_DEPTH_MAX, nested
from cashier_sandbox.processors.stripe.methods import NAMES, token_of

CURRENCIES = sorted({*ZERO_DECIMAL, *THREE_DECIMAL, "USD", "EUR", "ISK", "UGX", "HUF", "SEK"})


@pytest.mark.parametrize("currency", [code for code in CURRENCIES if is_known(code)])
@given(minor=st.integers(1, 10**10))
def test_both_sides_of_the_wire_count_alike(currency, minor):
    """The two tables were written apart; an error that both share is the only one left."""
    try:
        theirs, code = by_the_gateway(Money(minor, currency))
    except AmountNotExpressible:
        return

    assert (theirs, minor) == (to_stripe(minor, currency), to_ledger(theirs, currency))
    assert Money(minor, currency) == from_stripe(theirs, code)


def test_a_fraction_of_the_ledgers_unit_is_refused():
    with pytest.raises(Refused, match="divisible by 100"):
        to_ledger(150, "ISK")


def test_brackets_nest():
    form = "amount=5&metadata[a]=b&metadata[0]=c&expand[]=x&expand[]=y&p[q][r]=s&l[0]=u&l[1]=v"

    assert {
        "amount": "5",
        "metadata": {"a": "b", "0": "c"},
        "expand": ["x", "y"],
        "p": {"q": {"r": "s"}},
        "l": ["u", "v"],
    } == nested(form)


@pytest.mark.parametrize(
    "form",
    [
        "a",
        "a[=1",
        "a[b]]=1",
        "a=1&a=2",
        "a=1&a[b]=2",
        "a[b]=1&a=2",
        "=1",
        "a" + "[b]" * FORM_DEPTH_MAX + "=1",
    ],
)
def test_a_form_that_means_nothing_is_refused(form):
    with pytest.raises(Refused):
        nested(form)


@given(st.text(alphabet="ab[]=&%2+", max_size=60))
def test_no_form_breaks_the_reader(form):
    try:
        read = nested(form)
    except Refused:
        return

    assert isinstance(read, dict)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_well_known_method_behaves(name):
    assert behaviour_of(token_of(name, 1250), 1250) is not None
