"""Makes payments.csv: the same table from the same seed, with every story that a day brings.

`python -m cashier_mesh.demo.recipe` writes it to standard output.
"""

import csv
import io
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cashier_common.assets import to_decimal
from cashier_common.money import Money

SEED = 20_261_122
COLUMNS = (
    *("merchant", "reference", "amount", "asset", "country", "method", "brand", "customer"),
    *("tokens", "send", "metadata", "note"),
)
ROWS = 300
BRANDS = ("visa", "mastercard", "amex")
DEAR = "sandbox-global"
GOOD_AT_STRIPE, BAD_AT_STRIPE = "pm_card_visa", "pm_card_chargeCustomerFail"


@dataclass(frozen=True)
class Market:
    """Where customers are, what they pay in, and who is cheap there. Amounts in minor units."""

    country: str
    asset: str
    account: str
    low: int
    high: int
    weight: int


MARKETS = (
    Market("US", "USD", "sandbox-us", 499, 25_000, 26),
    Market("CA", "CAD", "sandbox-us", 699, 30_000, 8),
    Market("DE", "EUR", "sandbox-eu", 499, 20_000, 8),
    Market("FR", "EUR", "sandbox-eu", 499, 20_000, 4),
    Market("GB", "GBP", "sandbox-eu", 399, 18_000, 6),
    Market("SE", "SEK", "sandbox-eu", 4_900, 200_000, 5),
    Market("JP", "JPY", "sandbox-eu", 500, 30_000, 5),
    Market("KW", "KWD", "sandbox-eu", 1_500, 60_000, 4),
    Market("BR", "BRL", "sandbox-latam", 1_990, 90_000, 7),
    Market("MX", "MXN", "sandbox-latam", 9_900, 400_000, 6),
)
STRIPE_MARKETS = (
    Market("US", "USD", "localstripe-us", 499, 25_000, 5),
    Market("DE", "EUR", "localstripe-eu", 499, 20_000, 3),
    Market("GB", "GBP", "localstripe-eu", 399, 18_000, 2),
)
LARGE = (Market("US", "USD", "sandbox-us", 1_000_000, 4_000_000, 1),)
SANCTIONED = ("IR", "KP", "CU", "SY")


@dataclass(frozen=True)
class Story:
    """Rows of one kind: what the token does at the market's own account, and at the dear one."""

    note: str
    count: int
    first: str = "tok_ok"
    second: str | None = "tok_ok"
    send: str = "once"
    metadata: str = ""
    markets: Sequence[Market] = MARKETS
    countries: Sequence[str] = ()


STORIES = (
    Story("a token at two accounts", 116),
    Story("a token at one account alone", 28, second=None),
    Story("Stripe takes it", 40, GOOD_AT_STRIPE, None, markets=STRIPE_MARKETS),
    Story("Stripe declines it", 4, BAD_AT_STRIPE, None, markets=STRIPE_MARKETS),
    Story("declined softly, taken elsewhere", 16, "tok_decline_soft"),
    Story("issuer away, taken elsewhere", 6, "tok_decline_issuer_unavailable"),
    Story("declined softly everywhere", 4, "tok_decline_soft", "tok_decline_soft"),
    Story("too many requests, taken elsewhere", 5, "tok_rate_limited"),
    Story("declined for good", 12, "tok_decline_hard"),
    Story("insufficient funds", 10, "tok_decline_insufficient_funds"),
    Story("a stolen card", 5, "tok_stolen"),
    Story("an expired card", 4, "tok_decline_expired_card"),
    Story("charged, and the answer is lost", 8, "tok_lost_answer"),
    Story("charged, and the processor fails while it answers", 3, "tok_500_after"),
    Story("the processor fails before it does anything", 3, "tok_500_before"),
    Story("a slow processor", 4, "tok_slow_1500"),
    Story("a sanctioned country", 5, countries=SANCTIONED),
    Story("an amount that a person has to look at", 4, markets=LARGE),
    Story("the same request twice", 7, send="twice"),
    Story("the same request five times at once", 5, send="at_once"),
    Story("the same key with another amount", 4, send="other_amount"),
    Story("a card number in the metadata", 2, metadata="note=card 4242 4242 4242 4242"),
)
DEPOSITS = 5


def table(seed: int = SEED) -> str:
    """The whole file as text."""
    chance = random.Random(seed)  # noqa: S311 - it must repeat, not surprise
    rows = [row for story in STORIES for row in _rows(story, chance)]
    chance.shuffle(rows)
    # Deposits come early: blocks have to grow on top of them while the cards go on.
    rows[4:4] = list(_deposits(chance))
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, row in enumerate(rows, start=1):
        writer.writerow({"reference": f"order-{number:04d}", **row})
    return out.getvalue()


def _rows(story: Story, chance: random.Random) -> Iterator[dict[str, str]]:
    weights = [market.weight for market in story.markets]
    for _ in range(story.count):
        market = chance.choices(story.markets, weights)[0]
        tokens = {market.account: story.first}
        if story.second:
            tokens[DEAR] = story.second
        yield {
            "merchant": chance.choice(("acme-games", "acme-fintech")),
            "amount": to_decimal(Money(_amount(market, chance), market.asset)),
            "asset": market.asset,
            "country": chance.choice(story.countries) if story.countries else market.country,
            "method": "card",
            "brand": chance.choice(BRANDS),
            "customer": f"cus-{chance.randrange(10_000):04d}",
            "tokens": " ".join(f"{account}={token}" for account, token in tokens.items()),
            "send": story.send,
            "metadata": story.metadata,
            "note": story.note,
        }


def _deposits(chance: random.Random) -> Iterator[dict[str, str]]:
    for _ in range(DEPOSITS):
        yield {
            "merchant": "acme-fintech",
            "amount": to_decimal(Money(chance.randrange(5_000_000, 400_000_000), "USDC")),
            "asset": "USDC",
            "country": chance.choice(("DE", "BR", "US")),
            "method": "stablecoin",
            "brand": "",
            "customer": f"cus-{chance.randrange(10_000):04d}",
            "tokens": "",
            "send": "once",
            "metadata": "",
            "note": "a stablecoin deposit",
        }


def _amount(market: Market, chance: random.Random) -> int:
    minor = chance.randrange(market.low, market.high)
    if market.asset == "KWD":
        return minor // 10 * 10  # dinars are priced in steps of ten fils
    return minor


if __name__ == "__main__":
    sys.stdout.write(table())
