"""An attempt as the facts that are stored, and back: what a process that restarts goes on from."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from cashier_common.money import Money
from cashier_router.domain.authentication.attempt import (
    Attempt,
    Bound,
    Completion,
    Evidence,
    EvidenceKind,
    Flow,
)
from cashier_router.domain.authentication.exemptions import Exemption, Finding, Why
from cashier_router.domain.authentication.liability import Grounds, Liability, Network, Party
from cashier_router.domain.authentication.lifecycle import AuthenticationState
from cashier_router.domain.authentication.policy import (
    Band,
    Challenge,
    Choice,
    Reason,
    Treatment,
    Venue,
)
from cashier_router.domain.authentication.result import Cancel, Cryptogram, Result, Source, Status


def to_text(attempt: Attempt) -> str:
    """The attempt as JSON; it holds no secret and no personal data."""
    return orjson.dumps(attempt).decode()


def from_text(text: str) -> Attempt:
    """The attempt that `to_text` wrote, equal in every field."""
    row: dict[str, Any] = orjson.loads(text)
    return Attempt(
        **{
            **row,
            "flow": Flow(row["flow"]),
            "network": Network(row["network"]) if row["network"] else None,
            "bound": Bound(**{**row["bound"], "amount": Money(**row["bound"]["amount"])}),
            "choice": _choice(row["choice"]),
            "state": AuthenticationState(row["state"]),
            "completion": Completion(row["completion"]),
            "result": _result(row["result"]) if row["result"] else None,
            "liability": _liability(row["liability"]) if row["liability"] else None,
            "evidence": tuple(_evidence(kept) for kept in row["evidence"]),
            **{name: _time(row[name]) for name in _TIMES},
        }
    )


_TIMES = ("deadline", "create_time", "update_time", "fetch_at", "fetched_at")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _choice(row: Mapping[str, Any]) -> Choice:
    found = [Finding(Exemption(one["exemption"]), Why(one["why"])) for one in row["judged"]]
    return Choice(
        **{
            **row,
            "treatment": Treatment(row["treatment"]),
            "reason": Reason(row["reason"]),
            "band": Band(row["band"]),
            "challenge": Challenge(row["challenge"]),
            "exemption": Exemption(row["exemption"]) if row["exemption"] else None,
            "venue": Venue(row["venue"]) if row["venue"] else None,
            "judged": tuple(found),
        }
    )


def _result(row: Mapping[str, Any]) -> Result:
    return Result(
        **{
            **row,
            "source": Source(row["source"]),
            "status": Status(row["status"]),
            "cryptogram": Cryptogram(**row["cryptogram"]) if row["cryptogram"] else None,
            "cancel": Cancel(row["cancel"]) if row["cancel"] else None,
        }
    )


def _liability(row: Mapping[str, Any]) -> Liability:
    return Liability(Party(row["party"]), Grounds(row["grounds"]))


def _evidence(row: Mapping[str, Any]) -> Evidence:
    at = datetime.fromisoformat(row["at"])
    return Evidence(EvidenceKind(row["kind"]), _result(row["result"]), at)
