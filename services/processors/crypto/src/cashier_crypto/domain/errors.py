"""Refusals and races of this service alone; the others are in `cashier_common.errors`."""

from dataclasses import dataclass

from cashier_common.errors import Kind, Refusal


@dataclass
class AccountNotEligible(Refusal):
    """The processor account cannot take this operation; nothing was written."""

    kind = Kind.REFUSED
    reason = "NO_ELIGIBLE_ACCOUNT"
    text = "processor account {processor_account} cannot take this operation: {problem}"
    processor_account: str
    problem: str


class OperationKnown(Exception):
    """There is a row of this operation already: answer from it."""


class MovedOn(Exception):
    """Another process moved the row first: read it again."""


class PoolEmpty(Exception):
    """No address is free: derive more and try again."""


class WrongChain(Exception):
    """An endpoint speaks of another chain, or of another history, than the one on record."""


class ChainUnavailable(Exception):
    """An endpoint did not answer, or not in a form that we understand; nothing is known."""
