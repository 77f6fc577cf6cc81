"""Seals who pays for as long as a row keeps it: a copy of the table tells nobody."""

import os
from pathlib import Path
from typing import Final, Self

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cashier_common.settings import SettingsRefused
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.payer import Payer

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
# Seals nothing that is worth it: the sandbox's payers are made up.
_DEVELOPMENT_KEY: Final = bytes(KEY_BYTES)


class PayerSeal:
    """AES-256-GCM under one key; a sealed payer opens for its own operation alone."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The seal of a key file: 64 hexadecimal digits; SettingsRefused says what is wrong."""
        try:
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as error:
            raise SettingsRefused(
                f"CASHIER_PAYER_KEY names {path}, which cannot be read as hexadecimal digits: "
                f"{type(error).__name__}"
            ) from None
        if len(key) != KEY_BYTES:
            raise SettingsRefused(f"CASHIER_PAYER_KEY must name a file of {2 * KEY_BYTES} digits")
        return cls(key)

    @classmethod
    def for_development(cls) -> Self:
        """The seal of a mesh on one machine."""
        return cls(_DEVELOPMENT_KEY)

    def close(self, call: Call) -> bytes:
        """The call's payer, sealed."""
        payer = call.payer
        if payer is None:
            raise ValueError("there is no payer to seal")
        text = orjson.dumps([payer.name, payer.email, payer.document])
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, _bound_to(call))

    def open(self, call: Call, sealed: bytes) -> Payer | None:
        """The payer; None where another key sealed it: then he is not known any more."""
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return Payer(*orjson.loads(self._cipher.decrypt(nonce, text, _bound_to(call))))
        except InvalidTag:
            return None


def _bound_to(call: Call) -> bytes:
    return f"{call.merchant}\0{call.operation}".encode()
