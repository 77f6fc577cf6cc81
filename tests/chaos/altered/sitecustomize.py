"""Alters a service's process before its `__main__` runs: in these tests alone, by PYTHONPATH.

Python imports this module by its name at start. `CHAOS_ALTERATIONS` names what to alter; what
cannot be altered ends the process, so that no test runs against the unaltered code unnoticed.
"""

# ruff: noqa: PLC0415 - a service is altered before anybody imports it, and each imports its own
import os
import sys
import traceback
from typing import Any

# Everything that waits waits a tenth as long, in the proportions of production.
EXCHANGE_S = 2.0
RAIL_CALL_S = 4.0
QUESTIONS = (1,) * 600


def quick_gateway() -> None:
    """No account gives a processor over 2 s, so a lease lasts 10.2 s: by the gateway's own rule."""
    from cashier_gateway.domain import account

    account.TIMEOUT_MAX_S = EXCHANGE_S


def quick_router() -> None:
    """A rail's call lasts up to 4 s, a lease up to 9 s, and what is pending is asked about soon."""
    from cashier_router.domain import questions
    from cashier_router.flows import submit_operation

    submit_operation.RAIL_CALL_MAX_S = RAIL_CALL_S
    vars(questions)["PENDING"].update(
        dict.fromkeys(questions.PENDING, questions.Schedule(QUESTIONS))
    )


def no_gate() -> None:
    """Ablation: a second rail opens while the first one's answer is unknown."""
    from cashier_router.domain import progress
    from cashier_router.domain.lifecycle import OperationState

    vars(progress)["OPENS_NEXT_RAIL"] |= {OperationState.IN_DOUBT}


def no_tombstone() -> None:
    """Ablation: nothing is fenced and no door closed; what is not there now counts as gone."""
    from cashier_gateway.clients.sandbox import adapter
    from cashier_gateway.domain.lifecycle import Event
    from cashier_gateway.domain.outcome import Answer
    from cashier_gateway.flows import look_up

    asked = vars(adapter)["key_answer"]

    def believes(*facts: Any) -> Answer:
        answer: Answer = asked(*facts)
        missing = answer.event is Event.LOSE_TRACK and "the key is" in answer.detail
        return Answer(Event.CLOSE, "nothing is there") if missing else answer

    vars(adapter)["key_answer"] = believes
    vars(look_up)["FENCEABLE"] = frozenset()


ALTERATIONS = {do.__name__: do for do in (quick_gateway, quick_router, no_gate, no_tombstone)}

try:
    for wanted in filter(None, os.environ.get("CHAOS_ALTERATIONS", "").split(",")):
        ALTERATIONS[wanted]()
except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
