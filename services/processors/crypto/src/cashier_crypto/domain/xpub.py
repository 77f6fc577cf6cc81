"""Deposit addresses from an extended public key: the keys that could spend are never here.

BIP-32, public derivation of non-hardened children.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import ec
from eth_keys.backends.native.jacobian import fast_add
from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import PublicKey

VERSION: Final = bytes.fromhex("0488b21e")  # xpub of main networks; a tprv or xprv is refused
PAYLOAD_BYTES: Final = 78
CHECK_BYTES: Final = 4
HARDENED: Final = 1 << 31
CURVE: Final = ec.SECP256K1()
ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
DEVELOPMENT: Final = (
    "xpub6EFHUEbYV13535ChA9yg5xZTWowwFCmFoWnhLbwkd91xHoirGu89GTZwBSUBnBpFeY5EV2cgof8yuyDnkeGALcD8Dg"
    "GYJSiQfkxKpunWTX1"
)
"""m/44'/60'/1'/0 of the mnemonic that every development chain prints: its keys are public, so
anybody can spend what is sent to its addresses. Refused outside development."""


@dataclass(frozen=True, slots=True)
class ExtendedKey:
    """A public key that has children."""

    key: PublicKey
    chain_code: bytes
    fingerprint: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an `xpub…`; ValueError says what is wrong and never repeats the text."""
        payload = _base58check(text)
        if payload[:4] != VERSION:
            raise ValueError("it is not an extended public key of version xpub")
        key = PublicKey.from_compressed_bytes(payload[45:])
        return cls(key, payload[13:45], hashlib.sha256(payload).hexdigest()[:16])

    def address(self, index: int) -> str:
        """The canonical address of child `index`."""
        if not 0 <= index < HARDENED:
            raise ValueError(f"child {index} is not from 0 to {HARDENED - 1}")
        data = self.key.to_compressed_bytes() + index.to_bytes(4, "big")
        tweak = int.from_bytes(hmac.digest(self.chain_code, data, "sha512")[:32], "big")
        if (
            not 0 < tweak < SECPK1_N
        ):  # less likely than any fault of the machine; BIP-32 says: skip it
            raise ValueError(f"child {index} does not exist: take the next one")
        # No private key of anybody: a library in C multiplies the generator for us.
        shift = ec.derive_private_key(tweak, CURVE).public_key().public_numbers()
        x, y = fast_add((shift.x, shift.y), _point(self.key))
        child = PublicKey(x.to_bytes(32, "big") + y.to_bytes(32, "big"))
        return child.to_address()


def _point(key: PublicKey) -> tuple[int, int]:
    raw = key.to_bytes()
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


def _base58check(text: str) -> bytes:
    number = 0
    for letter in text:
        place = ALPHABET.find(letter)
        if place < 0:
            raise ValueError("it holds a character that base58 does not have")
        number = number * len(ALPHABET) + place
    try:
        raw = number.to_bytes(PAYLOAD_BYTES + CHECK_BYTES, "big")
    except OverflowError:
        raise ValueError("it is longer than an extended key") from None
    payload, check = raw[:PAYLOAD_BYTES], raw[PAYLOAD_BYTES:]
    if hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:CHECK_BYTES] != check:
        raise ValueError("its checksum does not fit: a character was lost or changed")
    return payload
