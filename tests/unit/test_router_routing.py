"""Which accounts may take a payment, and in what order."""

import pytest

from cashier_common.money import Money
from cashier_router.domain.instrument import Method, Token, TokenScope
from cashier_router.domain.routing import Question, decide
from tests.support.router_values import an_account, an_instrument


def a_question(**changes):
    facts = {
        "merchant": "acme-games", "amount": Money(10_000, "USD"), "instrument": an_instrument(),
        "customer_country": "US", "merchant_category_code": "", "manual_capture": False,
        "payout": False, "strict_only": False,
    }  # fmt: skip
    return Question(**{**facts, **changes})


def test_the_cheapest_eligible_account_comes_first():
    both = (
        Token(TokenScope.PROCESSOR_ACCOUNT, "dear", "t1"),
        Token(TokenScope.PROCESSOR_ACCOUNT, "cheap", "t2"),
    )
    question = a_question(instrument=an_instrument(tokens=both))

    decision = decide(question, [an_account("dear", fee_bps=400), an_account("cheap", fee_bps=100)])

    assert ["cheap", "dear"] == [candidate.account for candidate in decision.plan]


@pytest.mark.parametrize(
    ("removed_by", "account"),
    [
        ("ACCOUNT_DISABLED", {"enabled": False}),
        ("MERCHANT", {"merchants": frozenset({"other"})}),
        ("METHOD", {"methods": frozenset({Method.PIX})}),
        ("ASSET", {"assets": frozenset({"EUR"})}),
        ("COUNTRY", {"countries": frozenset({"DE"})}),
        ("MERCHANT_CATEGORY", {"merchant_category_codes": frozenset({"7995"})}),
        ("AMOUNT_LIMIT", {"limits": {"USD": (0, 9_999)}}),
        ("CARD_BRAND", {"card_brands": frozenset({"amex"})}),
    ],
)
def test_an_account_that_may_not_take_it_is_named_with_its_reason(removed_by, account):
    decision = decide(a_question(), [an_account(**account)])

    assert () == decision.plan
    assert [removed_by] == [candidate.removed_by for candidate in decision.candidates]


def test_a_token_of_another_account_does_not_travel():
    decision = decide(a_question(), [an_account("sandbox-eu")])

    assert ["NO_TOKEN"] == [candidate.removed_by for candidate in decision.candidates]


def test_a_vault_token_serves_an_account_that_takes_vault_tokens():
    vault = an_instrument(tokens=(Token(TokenScope.VAULT, "", "vt_1"),))

    decision = decide(a_question(instrument=vault), [an_account("any", vault_tokens=True)])

    assert ["any"] == [candidate.account for candidate in decision.plan]


def test_the_order_of_accounts_heard_does_not_change_the_decision():
    accounts = [an_account(name) for name in ("sandbox-us", "b", "c")]

    assert decide(a_question(), accounts) == decide(a_question(), accounts[::-1])


@pytest.mark.parametrize("payout", [False, True])
def test_a_rail_of_credits_pays_out_and_takes_no_payment(payout):
    question = a_question(instrument=an_instrument(method=Method.RTP), payout=payout)
    bank = an_account(methods=frozenset({Method.ACH, Method.RTP}))

    [judged] = decide(question, [bank]).candidates

    assert ("" if payout else "CREDITS_ONLY") == judged.removed_by
    assert payout or "rtp sends money and takes none" == judged.detail
