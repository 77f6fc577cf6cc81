"""What the sandbox does to notices, whatever API they speak: seeded, counted, and never taken."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from cashier_sandbox.domain.account import Account
from cashier_sandbox.domain.entry import Draft, Kind
from cashier_sandbox.domain.fees import FeeSchedule
from cashier_sandbox.domain.notice import Endpoint, Mischief, Notice, Trick
from cashier_sandbox.flows.deliver_notice import Deliveries, Face
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.ledger import Ledger

ALL_PPM, HALF_PPM = 1_000_000, 500_000
MANY = 40
OURS = Endpoint(id="we_1", url="http://us", secret="ours", types=("*",), created_at="")
THEIRS = Endpoint(id="we_2", url="http://them", secret="theirs", types=("*",), created_at="")
# An API whose body is the amount alone, and whose signature is the secret itself.
FACE = Face(
    write=lambda _, news: [
        Notice(id=str(news.entry.seq), type="charge", body=str(news.charge.amount).encode())
    ],
    sign=lambda endpoint, _body, _at: {"signed": endpoint.secret},
    secret=lambda name: f"made for {name}",
)


class Nowhere:
    """A journal that keeps nothing."""

    def append(self, entry):
        pass

    def clear(self):
        pass


@dataclass
class Receivers:
    """Both accounts' endpoints: each takes what is signed with its own secret."""

    gullible: bool = False
    posts: list[tuple[str, str, int]] = field(default_factory=list)

    async def post(self, url, headers, body):
        self.posts.append((url, headers["signed"], int(body)))
        own = {OURS.url: OURS.secret, THEIRS.url: THEIRS.secret}[url]
        return 200 if self.gullible or headers["signed"] == own else 401


async def told(
    *,
    seed: int = 7,
    strangers: tuple[Endpoint, ...] = (THEIRS,),
    gullible: bool = False,
    **mischief: int,
) -> tuple[Deliveries, list[tuple[str, str, int]]]:
    """Many charges of 1 to 40 cents told under some mischief, and what was posted."""
    ledger = Ledger(Nowhere(), [], lambda: "2026-01-31T12:00:00.000000Z")
    account = Account(
        name="us", port=0, api_key="", currencies=frozenset({"EUR"}), fees=FeeSchedule(),
        settlement_format="",
    )  # fmt: skip
    desk, receivers = Desk(account=account, ledger=ledger, seed=seed), Receivers(gullible)
    desk.book.endpoints[OURS.id] = OURS
    desk.conditions.mischief = Mischief(**mischief)
    deliveries = Deliveries(desk, FACE, receivers, lambda: strangers)
    ledger.listeners["us"] = deliveries.tell
    for amount in range(1, MANY + 1):
        detail = {
            "status": "succeeded", "amount": amount, "token": "tok_ok", "capture": True,
            "metadata": {}, "decline": None,
        }  # fmt: skip
        ledger.record(
            Draft(
                account="us", kind=Kind.CHARGE, id=f"ch_{amount}", currency="EUR", moved=amount,
                reference=str(amount), detail=detail,
            )
        )  # fmt: skip
    await asyncio.gather(*deliveries._tasks)
    return deliveries, receivers.posts


@pytest.mark.parametrize(
    ("trick", "url", "secret"),
    [
        (Trick.FORGE, OURS.url, "sruo"),
        (Trick.FOREIGN, OURS.url, THEIRS.secret),
        (Trick.ASTRAY, THEIRS.url, THEIRS.secret),
        (Trick.DOUBLE, OURS.url, OURS.secret),
    ],
)
async def test_a_trick_comes_beside_the_truth_and_is_counted(trick, url, secret):
    deliveries, posts = await told(**{f"{trick}_ppm": ALL_PPM})

    truths = [(OURS.url, OURS.secret, amount) for amount in range(1, MANY + 1)]
    extra = Counter(posts) - Counter(truths)
    assert Counter((url, secret, amount) for amount in range(1, MANY + 1)) == extra
    assert (MANY, 0) == (deliveries.tally.tricks[trick], deliveries.tally.falsely_taken)


async def test_another_amount_comes_in_place_of_the_true_one():
    deliveries, posts = await told(alter_ppm=HALF_PPM)

    wrong = [amount for _, _, amount in posts if amount > MANY]
    assert MANY == len(posts)
    assert 0 < len(wrong) == deliveries.tally.tricks[Trick.ALTER] < MANY
    assert set(range(1, MANY + 1)) == {amount % 100 for _, _, amount in posts}


async def test_what_overtakes_is_counted():
    deliveries, posts = await told(scatter_ms=20)

    amounts = [amount for _, _, amount in posts]
    behind = sum(amount < max(amounts[:place]) for place, amount in enumerate(amounts) if place)
    assert 0 < behind == deliveries.tally.tricks[Trick.REORDER]


async def test_one_seed_plays_the_same_tricks():
    shares = dict.fromkeys(("forge_ppm", "astray_ppm", "double_ppm", "alter_ppm"), HALF_PPM)

    (_, first), (_, again), (_, other) = [await told(seed=s, **shares) for s in (1, 1, 2)]

    assert Counter(first) == Counter(again) != Counter(other)


async def test_an_account_alone_with_its_api_is_told_with_a_secret_that_is_nobodys():
    deliveries, posts = await told(strangers=(), foreign_ppm=ALL_PPM, astray_ppm=ALL_PPM)

    assert {OURS.secret: MANY, "made for not we_1": MANY} == Counter(one for _, one, _ in posts)
    assert 0 == deliveries.tally.tricks[Trick.ASTRAY]


async def test_a_receiver_who_takes_a_forgery_is_found_out():
    deliveries, _ = await told(gullible=True, forge_ppm=ALL_PPM, foreign_ppm=ALL_PPM)

    assert 2 * MANY == deliveries.tally.falsely_taken


async def test_a_start_tells_again_what_a_crash_may_have_left_unsaid():
    deliveries, posts = await told()

    deliveries.tell_again("2026-01-31T12:00:00.000001Z")
    deliveries.tell_again("2026-01-31T11:59:59.000000Z")
    await asyncio.gather(*deliveries._tasks)

    assert dict.fromkeys(posts, 2) == Counter(posts)
