"""What a payer is shown: PIX's QR code as text, or the number of a voucher."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

from cashier_sandbox.domain.charge import Charge
from cashier_sandbox.domain.currency import in_major
from cashier_sandbox.flows.desk import Desk

PIX, OXXO = "PQ", "OX"
VOUCHER_DIGITS = 12
TXID_CHARS = 25
_CRC_POLYNOMIAL, _CRC_START, _CRC_TOP, _WORD = 0x1021, 0xFFFF, 0x8000, 0xFFFF


def ticket_json(desk: Desk, charge: Charge) -> dict[str, str]:
    """Return the Ticket of a payment by PIX or voucher."""
    number = pix_code(charge) if charge.metadata["method"] == PIX else voucher_number(charge)
    is_pix = charge.metadata["method"] == PIX
    ticket = {
        "type": "CUSTOM" if is_pix else "BARCODE",
        "number": number,
        "id": short(charge) if is_pix else number,
        "expiration_date": charge.metadata["expiration_date"],
        "company_name": "SANDBOX",
        "provider_name": "pix" if is_pix else "oxxo",
        "image_url": page(desk, charge),
    }
    return ticket if is_pix else ticket | {"barcode": number, "format": "CODE_128"}


def page(desk: Desk, charge: Charge) -> str:
    """Return the page on which a payer pays, or refuses to."""
    return f"{desk.base_url}/challenges/{charge.id}"


def pix_code(charge: Charge) -> str:
    """Return the text of the QR code: EMV fields of length and value, a checksum at the end."""
    account = _field("00", "BR.GOV.BCB.PIX") + _field("25", f"pix.sandbox.invalid/{short(charge)}")
    fields = (
        _field("00", "01")
        + _field("01", "12")  # to be paid once
        + _field("26", account)
        + _field("52", "0000")
        + _field("53", "986")
        + _field("54", in_major(charge.amount, charge.currency))
        + _field("58", "BR")
        + _field("59", "SANDBOX")
        + _field("60", "SAO PAULO")
        + _field("62", _field("05", short(charge)))
        + "6304"
    )
    return f"{fields}{_checksum(fields.encode()):04X}"


def voucher_number(charge: Charge) -> str:
    """Return the number that a shop takes; no card's number begins with a 9."""
    number = int.from_bytes(blake2b(charge.id.encode(), digest_size=8).digest(), "big")
    return f"93{number % 10**VOUCHER_DIGITS:0{VOUCHER_DIGITS}d}"


def short(charge: Charge) -> str:
    """Return the payment's name in the payers' banks."""
    return charge.id.partition("_")[2][:TXID_CHARS]


def moment(at: datetime) -> str:
    """Return a time as dLocal writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def _field(name: str, value: str) -> str:
    return f"{name}{len(value):02d}{value}"


def _checksum(text: bytes) -> int:
    """CRC-16 with polynomial 0x1021 from 0xFFFF, as EMV's QR codes end with."""
    crc = _CRC_START
    for byte in text:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ _CRC_POLYNOMIAL if crc & _CRC_TOP else crc << 1
            crc &= _WORD
    return crc
