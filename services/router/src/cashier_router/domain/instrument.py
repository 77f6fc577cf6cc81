"""What a customer pays with: tokens and facts, never a card number."""

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """How a customer pays or is paid."""

    CARD = "card"
    ACH = "ach"
    RTP = "rtp"
    SEPA = "sepa"
    PIX = "pix"
    VOUCHER = "voucher"
    STABLECOIN = "stablecoin"


class TokenScope(StrEnum):
    """Who understands a token."""

    PROCESSOR_ACCOUNT = "processor_account"
    VAULT = "vault"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Token:
    """A stand-in for the instrument; `account` is set where only one account understands it."""

    scope: TokenScope
    account: str
    value: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the customer pays with."""

    method: Method
    fingerprint: str
    bin: str
    brand: str
    funding: str
    issuer_country: str
    last4: str
    tokens: tuple[Token, ...]
    chain: str
    wallet_address: str

    def token_at(self, account: str, *, vault_accepted: bool) -> Token | None:
        """The token that this processor account understands, or None."""
        for token in self.tokens:
            if token.scope is TokenScope.PROCESSOR_ACCOUNT and token.account == account:
                return token
        if vault_accepted:
            for token in self.tokens:
                if token.scope is TokenScope.VAULT:
                    return token
        return None
