"""Finds what must not be stored or logged, card numbers first, and masks it."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cashier.common.v1 import options_pb2

CARD_DIGITS_MIN = 13
CARD_DIGITS_MAX = 19
CARD_MASK = "[card number]"
PERSONAL_MASK = "[personal data]"
NESTING_MAX = 8
JSON_INTEGER_MAX = 2**63 - 1

# Thirteen digits with no letter between them. Bytes over 0x7f may be the UTF-8 of full-width
# digits, so they count as digits: this filter may let too much through to the exact search, never
# too little.
_CANDIDATE_BYTES = re.compile(
    rb"[0-9\x80-\xff](?:[^0-9A-Za-z\x80-\xff]*+[0-9\x80-\xff]){%d}" % (CARD_DIGITS_MIN - 1)
)
_CANDIDATE = re.compile(rf"\d(?:[\W_]*+\d){{{CARD_DIGITS_MIN - 1}}}|[^\x00-\x7f]")
_TOKEN = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d+")
_GAP = re.compile(r"[\W_]*")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
_HEX = re.compile(r"(?:0[xX])?(?:[0-9a-f]+|[0-9A-F]+)")
# How long identifiers and hashes in hex are; a card number with a letter glued to it is neither.
_HEX_LENGTHS = frozenset({16, 24, 32, 40, 48, 56, 64, 96, 128})
# Issuer ranges: Visa, Mastercard, American Express, Discover and UnionPay, Diners, JCB, Maestro,
# Mir, RuPay, Elo and Hipercard; from the schemes' public tables.
_SCHEME = re.compile(
    r"4|5[0-8]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|3[47]|30[0-5]|3095|3[689]|35(?:2[89]|[3-8])"
    r"|6011|6[2457]|63(?:04|6)|606282|60[28]|508|8[12]|220[0-4]|3841"
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def may_hold_card_number(raw: bytes) -> bool:
    """Cheap and one-sided: False means that no text inside these bytes is a card number."""
    return _CANDIDATE_BYTES.search(raw) is not None


def holds_card_number(text: str) -> bool:
    """Whether some part of the text reads as a card number once separators are taken out."""
    if _CANDIDATE.search(text) is None:
        return False
    return next(_card_numbers(_normal(text)), None) is not None


def masked(text: str) -> str:
    """The text with every card number replaced; the same object when there is none."""
    if not holds_card_number(text):
        return text
    normal = _normal(text)
    parts, end = [], 0
    for start, stop in _card_numbers(normal):
        if start < end:
            continue
        parts += [normal[end:start], CARD_MASK]
        end = stop
    return "".join([*parts, normal[end:]])


def masked_value(value: object, depth: int = 0) -> object:
    """The same for what a log line holds: text, mappings and sequences, to a fixed depth."""
    if isinstance(value, str):
        return masked(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        text = str(value)
        if holds_card_number(text):
            return CARD_MASK
        return value if abs(value) <= JSON_INTEGER_MAX else text
    if isinstance(value, Message):
        return masked_message(value, depth)
    if depth == NESTING_MAX:
        return "[nested too deep]"
    if isinstance(value, Mapping):
        return {masked(str(k)): masked_value(v, depth + 1) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [masked_value(item, depth + 1) for item in value]
    return masked(str(value))


def masked_message(message: Message, depth: int = 0) -> dict[str, Any]:
    """A message as plain values, what its contract calls `personal_data` masked."""
    fields = message.ListFields()
    return {field.name: _masked_field(field, value, depth) for field, value in fields}


def is_personal(field: FieldDescriptor) -> bool:
    """Whether the contract says that the field holds personal data."""
    return bool(field.GetOptions().Extensions[options_pb2.personal_data])


def _masked_field(field: FieldDescriptor, value: Any, depth: int) -> object:  # noqa: ANN401
    if is_personal(field):
        return PERSONAL_MASK
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        value = dict(value)
    elif field.is_repeated:
        value = list(value)
    return masked_value(value, depth + 1)


def _normal(text: str) -> str:
    """Full-width and styled digits as ASCII; invisible characters (zero width) dropped."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text)
    return "".join(_folded(character) for character in folded)


def _folded(character: str) -> str:
    if character.isascii():
        return character
    if character.isdecimal():  # digits of other scripts, which NFKC leaves alone
        return str(unicodedata.decimal(character))
    return "" if unicodedata.category(character) in {"Cf", "Mn", "Me"} else character


def _card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each card number; `text` is normal."""
    for run in _runs(text):
        for first in range(len(run)):
            if stop := _card_from(text, run[first:]):
                yield run[first][0], stop


def _runs(text: str) -> Iterator[list[tuple[int, int]]]:
    """Groups of digits with only separators between them: letters and identifiers end a run."""
    identifiers = [m.span() for m in _UUID.finditer(text) if not _is_digits(m[0])]
    run: list[tuple[int, int]] = []
    last_end = 0
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        whole = token[0]
        if any(left <= start < right for left, right in identifiers) or _is_hex_identifier(whole):
            if run:
                yield run
            run, last_end = [], end
            continue
        for group in _DIGITS.finditer(whole):
            left, right = start + group.start(), start + group.end()
            if run and _GAP.fullmatch(text, last_end, left) is None:
                yield run
                run = []
            run.append((left, right))
            last_end = right
        if run and last_end != end:
            yield run
            run = []
    if run:
        yield run


def _card_from(text: str, groups: list[tuple[int, int]]) -> int:
    """The end of the card number that starts with the first group, or 0."""
    if not _SCHEME.match(text[groups[0][0] : groups[0][1]] + _ahead(text, groups)):
        return 0
    digits = ""
    for start, end in groups:
        digits += text[start:end]
        if len(digits) > CARD_DIGITS_MAX:
            return 0
        if len(digits) >= CARD_DIGITS_MIN and _passes_luhn(digits):
            return end
    return 0


def _ahead(text: str, groups: list[tuple[int, int]]) -> str:
    """Enough digits of the following groups to tell the scheme when the first group is short."""
    return "".join(text[start:end] for start, end in groups[1:6])


def _passes_luhn(digits: str) -> bool:
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0


def _is_digits(identifier: str) -> bool:
    return identifier.replace("-", "").isdecimal()


def _is_hex_identifier(token: str) -> bool:
    bare = token[2:] if token[:2] in {"0x", "0X"} else token
    return len(bare) in _HEX_LENGTHS and not bare.isdecimal() and _HEX.fullmatch(token) is not None
