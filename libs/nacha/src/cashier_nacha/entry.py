"""Read one entry with its addenda: what they say of it, and that they belong to it."""

from typing import Any, Final

from cashier_nacha.codes import CHANGE_CODES, RETURN_CODES
from cashier_nacha.faults import FileRefused, shape
from cashier_nacha.layout import Layout
from cashier_nacha.layouts import (
    ADDENDA,
    CHANGE,
    CONTESTED,
    DISHONORED,
    ENTRY,
    IAT_ENTRY,
    IAT_RETURN,
    REFUSED_CHANGE,
    RETURN,
)
from cashier_nacha.lines import Lines
from cashier_nacha.records import (
    Addenda,
    BatchHeader,
    Change,
    ContestedReturn,
    DishonoredReturn,
    Entry,
    IatBatchHeader,
    IatEntry,
    RefusedChange,
    Return,
    Verdict,
)
from cashier_nacha.routing import check_digit
from cashier_nacha.transaction_codes import TRANSACTION_CODES, Purpose

ADDENDA_MAX: Final = 9_999  # the four digits that count them
_TYPE, _CODE = slice(1, 3), slice(3, 6)
RETURNED, CHANGED = "99", "98"
_PLAIN: Final = frozenset({"02", "05"})
_IAT: Final = frozenset(str(number) for number in range(10, 19))
# Every international entry has these; 17 and 18 may follow.
_IAT_MANDATORY: Final = tuple(str(number) for number in range(10, 17))
_NO_AMOUNT: Final = frozenset({Purpose.PRENOTE, Purpose.ZERO_DOLLAR})


def read_entry(lines: Lines, header: BatchHeader | IatBatchHeader) -> tuple[Entry | IatEntry, int]:
    """The entry that comes next, and its line."""
    number, line = lines.take()
    is_iat = isinstance(header, IatBatchHeader)
    table = IAT_ENTRY if is_iat else ENTRY
    values: dict[str, Any] = table.read(line, number)
    _check(values, table, number)
    addenda, verdict = _addenda(lines, is_iat=is_iat)
    told = values.pop("has_addenda")
    if told != (1 if addenda or verdict else 0):
        raise table.fault("has_addenda", f"{told}, and {len(addenda)} addenda follow", number)
    if verdict is None:
        _trace(values["trace"], header, table, number)
    if not is_iat:
        return Entry(**values, addenda=addenda, verdict=verdict), number
    _international(values, addenda, table, number, is_forward=verdict is None)
    return IatEntry(**values, addenda=addenda, verdict=verdict), number


def _check(values: dict[str, Any], table: Layout, number: int) -> None:
    code = TRANSACTION_CODES.get(values["transaction_code"])
    if code is None:
        found = values["transaction_code"]
        raise table.fault("transaction_code", f"the rules know no code {found}", number)
    wanted = check_digit(values["rdfi"])
    if values.pop("check_digit") != wanted:
        raise table.fault("check_digit", f"the routing number's check digit is {wanted}", number)
    if not values["account"]:
        raise table.fault("account", "must not be blank", number)
    if code.purpose in _NO_AMOUNT and values["amount"]:
        raise table.fault("amount", f"a {code.purpose.lower()} entry carries none", number)


def _trace(trace: str, header: BatchHeader | IatBatchHeader, table: Layout, number: int) -> None:
    """A forward entry's number begins with its bank's; who returns one numbers as it likes."""
    if not trace.startswith(header.odfi):
        raise table.fault("trace", "does not begin with the batch's originating bank", number)


def _addenda(lines: Lines, *, is_iat: bool) -> tuple[tuple[Addenda, ...], Verdict | None]:
    found: list[Addenda] = []
    while lines.next_type() == "7":
        number, line = lines.take()
        kind = line[_TYPE]
        if kind in {RETURNED, CHANGED}:
            verdict = _returned(line, number, is_iat) if kind == RETURNED else _change(line, number)
            if lines.next_type() == "7":
                raise FileRefused(
                    f"no addenda may follow one of type {kind}", line=number + 1, columns=(1, 3)
                )
            return tuple(found), verdict
        if kind not in (_IAT if is_iat else _PLAIN):
            raise ADDENDA.fault("type_code", f"no type {shape(kind)} belongs here", number)
        if len(found) == ADDENDA_MAX:
            raise FileRefused(f"more than {ADDENDA_MAX} addenda of one entry", line=number)
        found.append(Addenda(**ADDENDA.read(line, number)))
    return tuple(found), None


def _international(
    values: dict[str, Any],
    addenda: tuple[Addenda, ...],
    table: Layout,
    number: int,
    *,
    is_forward: bool,
) -> None:
    kinds = tuple(one.type_code for one in addenda)
    if kinds[: len(_IAT_MANDATORY)] != _IAT_MANDATORY:
        raise FileRefused("addenda 10 to 16 must follow an international entry", line=number)
    told = values["addenda_count"]
    # A return may count the original's addenda alone, or its own with them.
    if told != len(addenda) and (is_forward or told != len(addenda) + 1):
        raise table.fault("addenda_count", f"declared {told}, found {len(addenda)}", number)


def _returned(line: str, number: int, is_iat: bool) -> Verdict:  # noqa: FBT001 - a leaf of its own
    code = RETURN_CODES.get(line[_CODE])
    if code is None:
        raise RETURN.fault("code", f"the rules know no return code {_named(line)}", number)
    if code.is_dishonored:
        return DishonoredReturn(**DISHONORED.read(line, number))
    if code.is_contested:
        return ContestedReturn(**CONTESTED.read(line, number))
    return Return(**(IAT_RETURN if is_iat else RETURN).read(line, number))


def _change(line: str, number: int) -> Verdict:
    code = CHANGE_CODES.get(line[_CODE])
    if code is None:
        raise CHANGE.fault("code", f"the rules know no change code {_named(line)}", number)
    if not code.refuses:
        return Change(**CHANGE.read(line, number))
    values = REFUSED_CHANGE.read(line, number)
    if values["change_code"] not in CHANGE_CODES:
        raise REFUSED_CHANGE.fault("change_code", "the rules know no such change code", number)
    return RefusedChange(**values)


def _named(line: str) -> str:
    """A code as it stands: one letter and two digits tell nothing of anybody."""
    code = line[_CODE]
    is_code = code[0].isalpha() and code[1:].isdigit()
    return code if is_code else shape(code)
