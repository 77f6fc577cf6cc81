"""Who pays, where a processor has to know: a name, an e-mail address and a tax number."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cashier_common.errors import FieldInvalid, FieldRequired

# The most parts that issuers in Brazil and Mexico offer.
INSTALLMENTS_MAX: Final = 24
NAME_MAX_CHARS: Final = 100
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_SEPARATORS: Final = re.compile(r"[./ -]")
# RFC of a person or company: letters, a date, three characters of the tax office. CURP: 18.
_MEXICAN: Final = re.compile(r"[A-ZÑ&]{3,4}[0-9]{6}[A-Z0-9]{3}|[A-Z]{4}[0-9]{6}[A-Z0-9]{8}")
_OTHER: Final = re.compile(r"[0-9A-Za-z]{5,20}")
CPF_DIGITS: Final = 11
CNPJ_DIGITS: Final = 14
# What a refusal shows in place of what was sent.
NOT_SHOWN: Final = "not one (it is not shown here)"


@dataclass(frozen=True, slots=True, repr=False)
class Payer:
    """Personal data: not in steps, logs, outcomes or fingerprints, and never printed."""

    name: str
    email: str
    document: str

    def __repr__(self) -> str:
        return "Payer(…)"

    @property
    def is_known(self) -> bool:
        """Whether anything was said of him."""
        return bool(self.name or self.email or self.document)

    @property
    def bare_document(self) -> str:
        """The document without separators, in capitals: how processors want it."""
        return bare(self.document)


def bare(document: str) -> str:
    """A document without the points and strokes that people write in it."""
    return _SEPARATORS.sub("", document).upper()


def check_payer(payer: Payer | None, country: str) -> None:
    """FieldRequired or FieldInvalid where a processor would not know who pays; no value is told."""
    if not country:
        raise FieldRequired("customer.country")
    if payer is None or not payer.document:
        raise FieldRequired("customer.document")
    for field, value in (("instrument.holder_name", payer.name), ("customer.email", payer.email)):
        if not value.strip():
            raise FieldRequired(field)
        if len(value) > NAME_MAX_CHARS:
            raise FieldInvalid(field, f"{len(value)} characters long", f"at most {NAME_MAX_CHARS}")
    if _EMAIL.fullmatch(payer.email) is None:
        raise FieldInvalid("customer.email", NOT_SHOWN, "an e-mail address")
    fits, what = _DOCUMENTS.get(country, (_fits_elsewhere, "5 to 20 letters and digits"))
    if not fits(payer.bare_document):
        raise FieldInvalid("customer.document", NOT_SHOWN, what)


def _fits_brazil(document: str) -> bool:
    """A CPF or CNPJ: two check digits, each a weighted sum modulo 11 of all before it."""
    if not (document.isascii() and document.isdigit()) or len(set(document)) == 1:
        return False
    if len(document) not in {CPF_DIGITS, CNPJ_DIGITS}:
        return False
    top = 11 if len(document) == CPF_DIGITS else 9  # weights of a CNPJ begin anew after 9
    for place in (len(document) - 2, len(document) - 1):
        weights = [2 + (n % (top - 1)) for n in range(place)]
        total = sum(int(document[place - 1 - n]) * weights[n] for n in range(place))
        if int(document[place]) != (11 - total % 11) % 11 % 10:
            return False
    return True


def _fits_mexico(document: str) -> bool:
    return _MEXICAN.fullmatch(document) is not None


def _fits_elsewhere(document: str) -> bool:
    return _OTHER.fullmatch(document) is not None


_DOCUMENTS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "BR": (_fits_brazil, "a CPF (11 digits) or CNPJ (14 digits)"),
    "MX": (_fits_mexico, "an RFC (12 or 13 characters) or CURP (18 characters)"),
}
