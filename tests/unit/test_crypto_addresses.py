"""Deposit addresses: derived from a public key alone, spelled one way, checked on the way in."""

import pytest
from eth_account import Account

from cashier_crypto.domain.address import canonical, checksummed
from cashier_crypto.domain.xpub import DEVELOPMENT, ExtendedKey

MNEMONIC = "test test test test test test test test test test test junk"
# From EIP-55 itself.
SPELLED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize("index", [0, 1, 7, 1_000])
def test_children_are_those_that_a_wallet_derives_from_the_private_key(index):
    Account.enable_unaudited_hdwallet_features()
    wallet = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/1'/0/{index}")

    assert wallet.address == checksummed(ExtendedKey.parse(DEVELOPMENT).address(index))


def test_a_thousand_children_are_a_thousand_addresses():
    key = ExtendedKey.parse(DEVELOPMENT)

    assert 1_000 == len({key.address(index) for index in range(1_000)})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (DEVELOPMENT[:-1] + "2", "checksum"),
        (DEVELOPMENT + "1" * 40, "longer|checksum"),
        ("xpub0", "base58"),
        ("", "checksum|version"),
    ],
)
def test_a_key_that_was_copied_badly_is_refused_without_repeating_it(text, problem):
    with pytest.raises(ValueError, match=problem) as raised:
        ExtendedKey.parse(text)

    assert not text or text not in str(raised.value)


@pytest.mark.parametrize("index", [-1, 1 << 31])
def test_hardened_children_do_not_exist_without_a_private_key(index):
    with pytest.raises(ValueError, match="child"):
        ExtendedKey.parse(DEVELOPMENT).address(index)


@pytest.mark.parametrize("text", [SPELLED, SPELLED.lower(), "0x" + SPELLED[2:].upper()])
def test_one_address_has_one_key(text):
    assert SPELLED.lower() == canonical(text)
    assert SPELLED == checksummed(canonical(text))


@pytest.mark.parametrize(
    "text",
    [SPELLED.replace("5aA", "5AA"), SPELLED[:-1], "5aAeb6053F3E94C9b9A0", "", "0x" + "g" * 40],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match=r"checksum|hexadecimal"):
        canonical(text)
