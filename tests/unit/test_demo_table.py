"""The table of payments that ships, and what is said of a table that cannot be used."""

from collections import Counter
from importlib.resources import files

import pytest

from cashier_common.redact import masked
from cashier_mesh.demo.recipe import COLUMNS, STORIES, table
from cashier_mesh.demo.wishes import Round, Send, read, some_of
from cashier_mesh.errors import MeshError

HEADER = ",".join(COLUMNS)
ROW = "acme-games,order-1,19.99,USD,US,card,visa,cus-1,sandbox-us=tok_ok,once,,a story"


def test_the_table_that_ships_is_what_its_recipe_makes():
    shipped = (files("cashier_mesh.demo") / "payments.csv").read_text(encoding="utf-8")

    assert table() == shipped


def test_the_table_has_what_a_day_brings():
    wishes = read(None)

    assert len(wishes) >= 300
    assert {"USD", "CAD", "EUR", "GBP", "SEK", "JPY", "KWD", "BRL", "MXN", "USDC"} == {
        wish.amount.asset for wish in wishes
    }
    assert set(Send) == {wish.send for wish in wishes}
    assert {story.note for story in STORIES} < {wish.note for wish in wishes}


def test_some_of_the_table_has_every_sort_of_row():
    wishes = read(None)

    some = some_of(wishes, 60)

    assert {wish.note for wish in wishes} == {wish.note for wish in some}
    assert len(some) < 80
    assert some == sorted(some, key=lambda wish: wish.reference)


def test_more_than_the_table_has_is_the_whole_table():
    wishes = read(None)

    assert wishes == some_of(wishes, 10_000)


def test_a_row_is_the_same_request_each_time_and_another_one_in_another_run():
    wish = read(None)[0]
    one, other = Round("aaaaaaaa", {}), Round("bbbbbbbb", {})

    assert one.request(wish) == one.request(wish)
    assert one.request(wish).merchant_reference != other.request(wish).merchant_reference
    assert one.key(wish) != other.key(wish)
    assert len(one.key(wish)) >= 16


def test_nothing_but_the_rows_that_ask_for_it_looks_like_a_card_number():
    this_round = Round("abcdefgh", {})

    suspicious = Counter(
        wish.note
        for wish in read(None)
        for text in (
            str(this_round.request(wish)),
            this_round.key(wish),
        )
        if masked(text) != text
    )

    assert {"a card number in the metadata": 2} == dict(suspicious)


def test_tokens_that_a_processor_made_take_the_place_of_their_names():
    wish = next(wish for wish in read(None) if "pm_card_visa" in wish.tokens.values())

    request = Round("aaaaaaaa", {"pm_card_visa": "pm_123"}).request(wish)

    assert ["pm_123"] == [token.token for token in request.instrument.tokens]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("19.99", "19.999", r"line 2: '19.999' is not an amount of USD"),
        ("USD", "UDS", r"line 2: the asset registry has no 'UDS'"),
        ("acme-games", "", r"line 2: merchant is empty"),
        ("card", "cheque", r"line 2: method is 'cheque': choose from card"),
        ("once", "thrice", r"line 2: send is 'thrice': choose from once"),
        ("sandbox-us=tok_ok", "tok_ok", r"tokens has 'tok_ok' without a name"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, old, new, complaint):
    path = tmp_path / "payments.csv"
    path.write_text(f"{HEADER}\n{ROW.replace(old, new, 1)}\n")

    with pytest.raises(MeshError, match=complaint):
        read(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no column merchant"),
        (HEADER.replace("tokens,", ""), "has no column tokens"),
        (f"{HEADER}\n{ROW}\n{ROW}", "has the reference order-1 twice"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, text, complaint):
    path = tmp_path / "payments.csv"
    path.write_text(text)

    with pytest.raises(MeshError, match=complaint):
        read(path)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MeshError, match=r"payments\.csv cannot be read"):
        read(tmp_path / "payments.csv")
