"""EVM addresses: lower-case hex is the key in every table, EIP-55 is what people see."""

import re
from typing import Final

from eth_utils.address import to_checksum_address

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


def canonical(text: str) -> str:
    """The address as a key; ValueError where it is none, or its mixed case has a bad checksum."""
    if ADDRESS.fullmatch(text) is None:
        raise ValueError(f"{text[:64]} is not 0x and 40 hexadecimal digits")
    digits = text[2:]
    if digits not in {digits.lower(), digits.upper()} and text != checksummed(text):
        raise ValueError(f"{text} has a wrong checksum: one of its digits is another one")
    return text.lower()


def checksummed(address: str) -> str:
    """The address with the checksum of EIP-55 in its letters."""
    return to_checksum_address(address.lower())
