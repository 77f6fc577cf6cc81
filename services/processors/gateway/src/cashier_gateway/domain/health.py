"""What an answer says about the health of its processor, and in which segment it counts."""

from typing import Final

from cashier_common.health.tally import Result
from cashier_common.health.ward import Stop
from cashier_common.regions import region_of
from cashier_gateway.domain.call import Call, Kind
from cashier_gateway.domain.lifecycle import Event
from cashier_gateway.domain.outcome import Answer

# What opens something new: only this may be stopped, because another rail can do it instead, and
# only what failed of this without an answer is a fault of the processor beyond doubt.
OPENS: Final = frozenset({Kind.AUTHORIZE, Kind.PAYOUT})
# A no with one of these meanings is about the processor, not about the payer or the issuer.
FAULT_MEANINGS: Final = frozenset({"PROCESSOR_UNAVAILABLE", "RATE_LIMITED", "ACCOUNT_REFUSED"})
SEPARATOR: Final = "/"
_STOPS: Final = {
    Stop.BREAKER_OPEN: "its breaker is open after too many failures",
    Stop.PROBES_TAKEN: "its breaker is half-open and others find out whether it is back",
    Stop.LIMIT_REACHED: "as many operations as may be are under way there",
}


def segment_of(call: Call) -> str:
    """Method, asset and region of a call; what has no method (a refund) is by itself."""
    request = call.request
    method, country = (request.method, request.customer_country) if request else ("", "")
    return SEPARATOR.join((method, call.amount.asset, region_of(country)))


def parts_of(segment: str) -> tuple[str, str, str]:
    """Method, asset and region of a segment; all empty for the whole account."""
    method, _, rest = segment.partition(SEPARATOR)
    asset, _, region = rest.partition(SEPARATOR)
    return method, asset, region


def may_stop(call: Call) -> bool:
    """Whether breaker and limit may keep the call from being sent.

    Only the first try of something new: nothing of it has left, and another account may take it.
    A capture, a void or a refund is about money in flight that no other account can finish, and
    an earlier owner of a call that was taken over may have sent it.
    """
    return call.request is not None and call.request.kind in OPENS and call.lease_epoch == 1


def refusal(account: str, stop: Stop) -> str:
    """Why an operation was not sent, as a sentence."""
    return f"not sent to {account}: {_STOPS[stop]} ({stop})"


def result_of(call: Call, answer: Answer) -> Result | None:
    """What the answer counts as; None where it says nothing about the processor's health.

    A no by the issuer, about funds or about the card is an answer: the processor works. What
    follows up on an authorization counts as a fault only where no answer came: its other doubts
    are about the state of what it acts on, and a caller could make them at will.
    """
    opens = call.request is not None and call.request.kind in OPENS
    is_fault = answer.decline is not None and answer.decline.meaning in FAULT_MEANINGS
    match answer.event:
        case Event.SUCCEED | Event.PEND | Event.REQUIRE_ACTION:
            return Result.SUCCESS
        case Event.DECLINE_SOFT:
            return Result.FAILED if is_fault else Result.SOFT_NO
        case Event.DECLINE_HARD:
            return Result.FAILED if is_fault else Result.HARD_NO
        case Event.FAIL_UNSENT:
            return Result.FAILED
        case Event.LOSE_TRACK if answer.timed_out:
            return Result.TIMED_OUT
        case Event.LOSE_TRACK if opens:
            return Result.FAILED
    return None
