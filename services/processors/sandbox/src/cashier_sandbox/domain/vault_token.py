"""A test alias kept under a token, and what each processor account calls it; never a card."""

from __future__ import annotations

from dataclasses import dataclass

from cashier_sandbox.domain.chance import stable_id

# Enough to tell accounts apart, short enough for the 64 characters of a stored payment method.
LABEL_CHARS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultToken:
    """A vault token (`vt_…`) and the sandbox token that it stands for."""

    id: str
    alias: str
    created_at: str

    def at(self, account: str) -> str:
        """Return the token that an account understands: always the same, and its own."""
        name = self.alias.partition(".")[0]
        return f"{name}.{stable_id('at', 0, self.id, account)[3 : 3 + LABEL_CHARS]}"
