"""The return and change codes as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Any, Final

import yaml


class Returner(StrEnum):
    """Who may send a code."""

    RDFI = "RDFI"  # the receiving bank
    ODFI = "ODFI"  # the originating bank
    OPERATOR = "OPERATOR"
    GATEWAY = "GATEWAY"  # of international entries
    AGENCY = "AGENCY"  # of the government, for enrollments


class Days(StrEnum):
    """What a window is counted in; the last three are no number of days."""

    BANKING = "banking"
    CALENDAR = "calendar"
    AGREED = "agreed"
    AT_ONCE = "at once"
    ON_NOTICE = "on notice"


@dataclass(frozen=True, slots=True)
class ReturnCode:
    """One reason; `window_days` is 0 where `days` is no count.

    `represent` is how many times the same entry may be sent again.
    """

    code: str
    meaning: str
    category: str
    by: Returner
    days: Days
    window_days: int
    represent: int

    @property
    def is_dishonored(self) -> bool:
        """Whether it refuses a return."""
        return self.category == "dishonored"

    @property
    def is_contested(self) -> bool:
        """Whether it insists on a return that was refused."""
        return self.category == "contested"


@dataclass(frozen=True, slots=True)
class ChangeCode:
    """What was incorrect; or, where `refuses`, why a notification is not accepted."""

    code: str
    meaning: str
    corrects: tuple[str, ...]
    refuses: bool


def _rows(name: str) -> list[dict[str, Any]]:
    text = (resources.files("cashier_nacha") / name).read_text(encoding="utf-8")
    return list(yaml.safe_load(text))


def _return_code(row: Mapping[str, Any]) -> ReturnCode:
    count, _, days = row["window"].partition(" ")
    counted = count.isdigit()
    return ReturnCode(
        code=row["code"],
        meaning=row["meaning"],
        category=row["category"],
        by=Returner(row["by"]),
        days=Days(days if counted else row["window"]),
        window_days=int(count) if counted else 0,
        represent=row["represent"],
    )


RETURN_CODES: Final[Mapping[str, ReturnCode]] = {
    row["code"]: _return_code(row) for row in _rows("return_codes.yaml")
}
CHANGE_CODES: Final[Mapping[str, ChangeCode]] = {
    row["code"]: ChangeCode(row["code"], row["meaning"], tuple(row["corrects"]), row["refuses"])
    for row in _rows("change_codes.yaml")
}
