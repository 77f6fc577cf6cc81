"""Refusals of this service alone; those that every service knows are in `cashier_common.errors`."""

from dataclasses import dataclass

from cashier_common.errors import Kind, Refusal


@dataclass
class AccountNotEligible(Refusal):
    """The processor account cannot take this operation; nothing was written or sent."""

    kind = Kind.REFUSED
    reason = "NO_ELIGIBLE_ACCOUNT"
    text = "processor account {processor_account} cannot take this operation: {problem}"
    processor_account: str
    problem: str


class OperationKnown(Exception):
    """There is a row of this operation already: answer from it."""


class LeaseLost(Exception):
    """Somebody else took the call over or fenced it: its earlier owner stops where it stands."""
