"""What every adapter that reads webhooks owes to the law, whichever processor it listens to.

The sandbox writes and signs the webhooks, the gateway's own intake takes them over HTTP, its inbox
worker applies them. A new adapter joins with its entry in `tests/support/processor_stands.py`.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from cashier_common.money import Money
from cashier_gateway.clients.signature import SKEW_MAX_S
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.lifecycle import State
from cashier_gateway.domain.notice import Notice, NoticeFault, NoticeRefused
from cashier_gateway.http.intake import BODY_MAX_BYTES
from tests.support.gateway_rig import adapter
from tests.support.notice_capture import Letter, readable, signed, signs_time
from tests.support.webhook_post import ELSEWHERE, HOSTILE, hooks, post, quiet, sandbox

__all__ = ["hooks", "post", "sandbox"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
OLD = "of last month"
MUTATIONS = 200
REFUND = 300


@dataclass(frozen=True)
class Case:
    """A call in a state, before the news that it succeeded with 12.50; then what becomes."""

    state: State
    result: str
    after: State
    minor: int = 1250
    asset: str = ""  # what the stand asks for
    reference: str = "theirs"
    told: int = 0
    elsewhere: bool = False


CASES = {
    "pending": Case(State.PENDING, "APPLIED", State.SUCCEEDED, told=1),
    "in_doubt": Case(State.IN_DOUBT, "APPLIED", State.SUCCEEDED, told=1),
    "in_doubt_without_a_reference": Case(
        State.IN_DOUBT, "APPLIED", State.SUCCEEDED, reference="", told=1
    ),
    "action_required": Case(State.ACTION_REQUIRED, "APPLIED", State.SUCCEEDED, told=1),
    "conflicted": Case(State.CONFLICTED, "APPLIED", State.SUCCEEDED, told=1),
    "behind_a_closed_door": Case(State.NOT_FOUND, "APPLIED", State.SUCCEEDED, told=1),
    "after_the_answer": Case(State.SUCCEEDED, "KNOWN", State.SUCCEEDED),
    "after_a_decline": Case(State.DECLINED_HARD, "TOLD", State.DECLINED_HARD, told=1),
    "after_a_soft_decline": Case(State.DECLINED_SOFT, "TOLD", State.DECLINED_SOFT, told=1),
    "before_the_answer": Case(State.SUBMITTING, "EARLY", State.SUBMITTING),
    "another_amount": Case(State.PENDING, "APPLIED", State.CONFLICTED, minor=1251, told=1),
    "another_asset": Case(State.PENDING, "APPLIED", State.CONFLICTED, asset="GBP", told=1),
    "another_reference": Case(
        State.IN_DOUBT, "APPLIED", State.CONFLICTED, reference="of-another-payment", told=1
    ),
    "another_amount_in_the_end": Case(State.SUCCEEDED, "MISMATCHED", State.SUCCEEDED, minor=1249),
    "another_reference_in_the_end": Case(
        State.SUCCEEDED, "MISMATCHED", State.SUCCEEDED, reference="of-another-payment"
    ),
    "another_accounts": Case(State.IN_DOUBT, "OTHER_ACCOUNT", State.IN_DOUBT, elsewhere=True),
}


@pytest.mark.some(16)
@pytest.mark.parametrize("kind", list(Kind))
async def test_what_waits_ends_by_its_webhook_and_is_told_once(post, kind):
    if kind in post.stand.untold or kind not in post.stand.kinds:
        pytest.skip(f"{post.stand.name} sends no webhook that ends a {kind}")
    call, letter = await post.box.told(post.bench, kind)
    row = await post.row(call, State.PENDING)

    statuses = await asyncio.gather(*(post.send(letter) for _ in range(5)))
    await asyncio.gather(*(post.hooks.postman.step() for _ in range(3)))
    await post.send(letter)
    await post.hooks.take()

    assert {200} == set(statuses)
    assert [("DONE", "APPLIED", 1)] == await post.become(letter)
    found = await post.hooks.stands(row)
    assert (State.SUCCEEDED, call.reference) == (found.state, found.reference)
    [told] = await post.hooks.told(row)
    assert ("WEBHOOK", State.SUCCEEDED) == (told.source, told.state)


@pytest.mark.some(42)
@pytest.mark.parametrize("name", CASES)
async def test_news_meets_a_call_in_every_state(post, name):
    case = CASES[name]
    call, letter = await post.box.told(post.bench, post.stand.tells)
    reference = call.reference if case.reference == "theirs" else case.reference
    account = post.stand.name + ELSEWHERE * case.elsewhere
    amount = Money(case.minor, case.asset or call.amount.asset)
    row = await post.row(call, case.state, account=account, amount=amount, reference=reference)

    await asyncio.gather(post.send(letter), post.send(letter))
    await post.hooks.take()

    [(state, result, _)] = await post.become(letter)
    assert ("WAITING" if result == "EARLY" else "DONE", case.result) == (state, result)
    assert case.after is (await post.hooks.stands(row)).state
    assert case.told == len(await post.hooks.told(row))


async def test_an_operation_that_is_not_ours_is_kept_and_changes_nothing(post):
    _, letter = await post.box.told(post.bench, post.stand.tells)

    assert 200 == await post.send(letter)
    await post.hooks.take()

    assert [("DONE", "UNMATCHED", 1)] == await post.become(letter)


async def test_in_whatever_order_news_comes_it_ends_the_same(post):
    """A payment, a part of it given back elsewhere and the rest disputed: doubled and shuffled."""
    if Kind.AUTHORIZE not in post.stand.kinds:
        pytest.skip(f"{post.stand.name} takes no payment that could be given back or disputed")
    order = random.Random(f"{post.stand.name} 7")
    call = await post.bench.ready(Kind.AUTHORIZE)
    begun = len(post.box.letters)
    answer = await post.bench.send(call)
    async with post.bench.sandbox.control() as control:
        ledger = await control.get(f"/control/ledger?reference={call.operation}&kind=charge")
        path = f"/control/charges/{ledger['entries'][0]['id']}"
        await control.post(f"{path}/external_refund", {"amount": REFUND})
        await control.post(f"{path}/chargeback", {"reason": "fraudulent"})
        await quiet(control, post.stand.name)
    letters = [letter for letter in post.box.letters[begun:] for _ in (1, 2)]
    order.shuffle(letters)
    row = await post.row(call, State.IN_DOUBT, reference=answer.reference, capture=True)

    for letter in letters:
        assert 200 == await post.send(letter)
        await post.hooks.take()

    assert State.SUCCEEDED is (await post.hooks.stands(row)).state
    told = await post.hooks.told(row)
    kinds = Counter(late.told or late.state.value for late in told)
    assert (1, 1) == (kinds["SUCCEEDED"], kinds["REVERSED"])
    assert kinds["DISPUTED"] >= post.stand.tells_disputes
    assert told[-1].dispute is None or told[-1].dispute.funds_withdrawn


@pytest.mark.some(2)
async def test_a_payout_that_comes_back_leaves_nothing_paid_in_whatever_order(post):
    """Where its failure was told first, it never succeeded; else it did, and was taken back."""
    order = random.Random(f"{post.stand.name} 8")
    call, _ = await post.box.told(post.bench, Kind.PAYOUT)
    async with post.bench.sandbox.control() as control:
        ledger = await control.get(f"/control/ledger?reference={call.operation}&kind=payout")
        await control.post(f"/control/payouts/{ledger['entries'][0]['id']}/fail", {})
        await quiet(control, post.stand.name)
    letters = [one for one in post.box.letters if post.is_about(call, one) for _ in (1, 2)]
    order.shuffle(letters)
    row = await post.row(call, State.IN_DOUBT)

    for letter in letters:
        assert 200 == await post.send(letter)
        await post.hooks.take()

    told = [late.told or late.state.value for late in await post.hooks.told(row)]
    assert told in (["SUCCEEDED", "REVERSED"], ["DECLINED_HARD"])
    assert told[0] == (await post.hooks.stands(row)).state.value


async def test_what_is_forged_or_signed_for_another_account_is_refused(post):
    begun = len(post.box.letters)
    async with post.bench.sandbox.control() as control:
        path = f"/control/accounts/{post.stand.name}/notices"
        await control.ask("PUT", path, {"forge_ppm": 1_000_000, "foreign_ppm": 1_000_000})
        call, true = await post.box.told(post.bench, post.stand.tells)
        await quiet(control, post.stand.name)
        await control.ask("PUT", path, {})
    row = await post.row(call, State.IN_DOUBT)
    letters = post.box.letters[begun:]
    false = [letter for letter in letters if not readable(post.bench, letter)]

    statuses = [await post.send(letter) for letter in false]
    await post.hooks.take()

    assert 2 * (len(letters) - len(false)) == len(false) > 0
    assert {401} == set(statuses)
    assert [] == await post.become(true)
    assert State.IN_DOUBT is (await post.hooks.stands(row)).state


async def test_two_secrets_live_while_one_is_changed_and_a_third_does_not(post):
    account = post.stand.account(post.bench.port, webhook_secrets=[
        f"test:{post.stand.webhook_secret}", f"test:{post.stand.secret_of(OLD)}"
    ])  # fmt: skip
    both = adapter(account)
    _, letter = await post.box.told(post.bench, post.stand.tells)
    new, old, none = [
        signed(post.stand, letter.body, post.stand.secret_of(name) if name else "")
        for name in ("", OLD, "nobody")
    ]

    read = [both.read_notices(one.headers, one.body) for one in (new, old)]

    assert read[0] == read[1] != ()
    assert NoticeFault.UNVERIFIED is _fault(both, none)
    await both.close()


async def test_a_replay_of_an_old_message_is_refused_where_its_time_is_signed(post):
    if not signs_time(post.stand):
        pytest.skip(f"{post.stand.name} signs no time: a replay is a doubled one")
    _, letter = await post.box.told(post.bench, post.stand.tells)

    for at_s in (time.time() - SKEW_MAX_S - 5, time.time() + SKEW_MAX_S + 5):
        assert 401 == await post.send(signed(post.stand, letter.body, at_s=int(at_s)))
    assert 200 == await post.send(signed(post.stand, letter.body, at_s=int(time.time()) - 60))


async def test_no_change_of_a_byte_changes_what_is_believed(post):
    """What is not signed may change, and then it says nothing about money."""
    chance = random.Random(f"{post.stand.name} 7")
    _, letter = await post.box.told(post.bench, post.stand.tells)
    believed = [_money_of(notice) for notice in readable(post.bench, letter)]
    taken = 0
    for _ in range(MUTATIONS):
        body = bytearray(letter.body)
        place = chance.randrange(len(body))
        match chance.randrange(4):
            case 0:
                body[place] = chance.randrange(256)
            case 1:
                del body[place : place + chance.randrange(1, 20)]
            case 2:
                body[place:place] = bytes(chance.randrange(256) for _ in range(3))
            case _:  # the same keys twice, with other values first
                fake = letter.body.replace(b"12.50", b"99.50").replace(b"1250", b"9950")
                fake = fake.replace(post.stand.asked.asset.encode(), b"GBP").strip()
                body = bytearray(fake[:-1] + b"," + letter.body.strip()[1:])
        read = readable(post.bench, Letter(letter.headers, bytes(body)))
        taken += bool(read)
        assert not read or believed == [_money_of(notice) for notice in read], bytes(body)
    assert taken < MUTATIONS


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_body_is_refused_in_a_sentence_signed_or_not(post, body):
    true = signed(post.stand, body)

    assert _fault(post.bench.processor, Letter({}, body)) in NoticeFault
    assert _fault(post.bench.processor, true) in NoticeFault


async def test_a_hostile_request_is_refused_and_nothing_is_kept(post):
    before = await post.hooks.letters()

    large = signed(post.stand, b" " * (BODY_MAX_BYTES + 1))
    deep = signed(post.stand, b"[" * 60_000)

    assert (413, 400) == (await post.send(large), await post.send(deep))
    assert 404 == await post.send(deep, account=f"{post.stand.name}/more")
    assert before == await post.hooks.letters()


def _fault(processor: Any, letter: Letter) -> NoticeFault:
    with pytest.raises(NoticeRefused) as refused:
        processor.read_notices(letter.headers, letter.body)
    assert str(refused.value)
    return refused.value.fault


def _money_of(notice: Notice) -> tuple[Any, ...]:
    return notice.event_id, notice.operation, notice.references, notice.event, notice.amount
