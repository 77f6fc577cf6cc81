"""Requests to commands: every field that means something, checked with a sentence."""

import re

from cashier.common.v1 import instrument_pb2
from cashier.payments.v1 import payment_pb2, payment_service_pb2
from cashier_common import assets
from cashier_common.errors import AssetUnknown, FieldInvalid, FieldRequired
from cashier_common.money import Money
from cashier_router.domain.commands import CreatePayment
from cashier_router.domain.instrument import Instrument, Method, Token, TokenScope
from cashier_router.domain.payment import CaptureMethod, Direction, Terms

# int64 leaves room for sums of a thousand such amounts; no rail takes more in one payment.
AMOUNT_MAX_MINOR = 10**15
REFERENCE_MAX_CHARS = 128
FINGERPRINT_MAX_CHARS = 128
TOKEN_MAX_CHARS = 255
TOKENS_MAX = 32
METADATA_MAX_ENTRIES, METADATA_KEY_MAX_CHARS, METADATA_VALUE_MAX_CHARS = 50, 64, 512
DESCRIPTOR_MAX_CHARS = 22
TAGS_MAX, TAG_MAX_CHARS = 32, 64
URL_MAX_CHARS = 2_048
INSTALLMENTS_MAX = 24

_COUNTRY = re.compile(r"[A-Z]{2}")
_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_BIN = re.compile(r"[0-9]{6,8}")
_LAST4 = re.compile(r"[0-9]{4}")
_MCC = re.compile(r"[0-9]{4}")
_BRAND = re.compile(r"[a-z][a-z0-9_]{1,31}")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
_CHAIN = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}")  # CAIP-2
_ADDRESS = re.compile(r"[A-Za-z0-9]{20,100}")
_URL = re.compile(r"https?://[^\s]+")
# What a document looks like anywhere; the rail that needs it knows its country's form.
_DOCUMENT = re.compile(r"[0-9A-Za-zÑñ&./ -]{5,20}")

_METHODS = {
    instrument_pb2.PAYMENT_METHOD_CARD: Method.CARD,
    instrument_pb2.PAYMENT_METHOD_ACH: Method.ACH,
    instrument_pb2.PAYMENT_METHOD_RTP: Method.RTP,
    instrument_pb2.PAYMENT_METHOD_SEPA: Method.SEPA,
    instrument_pb2.PAYMENT_METHOD_PIX: Method.PIX,
    instrument_pb2.PAYMENT_METHOD_VOUCHER: Method.VOUCHER,
    instrument_pb2.PAYMENT_METHOD_STABLECOIN: Method.STABLECOIN,
}
METHOD_NUMBERS = {method: number for number, method in _METHODS.items()}
_SCOPES = {
    instrument_pb2.InstrumentToken.SCOPE_PROCESSOR_ACCOUNT: TokenScope.PROCESSOR_ACCOUNT,
    instrument_pb2.InstrumentToken.SCOPE_VAULT: TokenScope.VAULT,
    instrument_pb2.InstrumentToken.SCOPE_NETWORK: TokenScope.NETWORK,
}
_FUNDING = ("", "credit", "debit", "prepaid")


_CAPTURES = {
    payment_pb2.CAPTURE_METHOD_UNSPECIFIED: CaptureMethod.AUTOMATIC,
    payment_pb2.CAPTURE_METHOD_AUTOMATIC: CaptureMethod.AUTOMATIC,
    payment_pb2.CAPTURE_METHOD_MANUAL: CaptureMethod.MANUAL,
}
_PAYMENT = re.compile(r"payments/pay_[a-z0-9]{1,64}")


def to_command(request: payment_service_pb2.CreatePaymentRequest, key: str) -> CreatePayment:
    """The command that a request means; raises FieldRequired, FieldInvalid or AssetUnknown."""
    capture = _CAPTURES.get(request.capture_method)
    if capture is None:
        raise FieldInvalid(
            "capture_method", str(request.capture_method), "a value of CaptureMethod"
        )
    return CreatePayment(
        merchant=request.merchant,
        key=key,
        merchant_reference=to_text(
            "merchant_reference", request.merchant_reference, REFERENCE_MAX_CHARS
        ),
        amount=to_amount("amount", request.amount.minor, request.amount.asset_code),
        capture_method=capture,
        terms=_terms(request),
    )


def to_payout(request: payment_service_pb2.CreatePayoutRequest, key: str) -> CreatePayment:
    """The payout that a request means; as a payment that has no device and is not captured."""
    asked = payment_service_pb2.CreatePaymentRequest(
        instrument=request.instrument,
        customer=request.customer if request.HasField("customer") else None,
        metadata=request.metadata,
        jurisdiction=request.jurisdiction,
        off_session=True,
    )
    return CreatePayment(
        merchant=request.merchant,
        key=key,
        merchant_reference=to_text(
            "merchant_reference", request.merchant_reference, REFERENCE_MAX_CHARS
        ),
        amount=to_amount("amount", request.amount.minor, request.amount.asset_code),
        capture_method=CaptureMethod.AUTOMATIC,
        terms=_terms(asked),
        direction=Direction.PAYOUT,
        origin_payment=_shaped(
            "origin_payment", request.origin_payment, _PAYMENT, "a name like payments/pay_…"
        ),
    )


def to_amount(field: str, minor: int, asset_code: str) -> Money:
    """A positive amount of a known asset."""
    if not assets.is_known(asset_code):
        raise AssetUnknown(field=f"{field}.asset_code", value=asset_code or "empty")
    if not 0 < minor <= AMOUNT_MAX_MINOR:
        expected = f"between 1 and {AMOUNT_MAX_MINOR} minor units"
        raise FieldInvalid(field=f"{field}.minor", value=str(minor), expected=expected)
    return Money(minor, asset_code)


def _terms(request: payment_service_pb2.CreatePaymentRequest) -> Terms:
    customer, device = request.customer, request.device
    metadata = dict(request.metadata)
    _count("metadata", len(metadata), METADATA_MAX_ENTRIES)
    for name, value in metadata.items():
        to_text("metadata key", name, METADATA_KEY_MAX_CHARS)
        to_text(f"metadata[{name}]", value, METADATA_VALUE_MAX_CHARS, required=False)
    _count("customer.tags", len(customer.tags), TAGS_MAX)
    for tag in customer.tags:
        to_text("customer.tags", tag, TAG_MAX_CHARS)
    if customer.document and _DOCUMENT.fullmatch(customer.document) is None:
        raise FieldInvalid("customer.document", "not one", "5 to 20 letters and digits")
    instrument = to_instrument(request.instrument)
    return Terms(
        instrument=instrument,
        customer_id=to_text(
            "customer.customer_id", customer.customer_id, REFERENCE_MAX_CHARS, required=False
        ),
        customer_country=_shaped(
            "customer.country", customer.country, _COUNTRY, "ISO 3166-1 alpha-2, such as DE"
        ),
        customer_subdivision=_shaped(
            "customer.subdivision", customer.subdivision, _JURISDICTION, "ISO 3166-2, such as US-NJ"
        ),
        customer_tags=tuple(customer.tags),
        device_fingerprint=to_text(
            "device.fingerprint", device.fingerprint, FINGERPRINT_MAX_CHARS, required=False
        ),
        session_hash=to_text(
            "device.session_hash", device.session_hash, FINGERPRINT_MAX_CHARS, required=False
        ),
        metadata=metadata,
        statement_descriptor=to_text(
            "statement_descriptor",
            request.statement_descriptor,
            DESCRIPTOR_MAX_CHARS,
            required=False,
        ),
        return_url=_shaped("return_url", request.return_url, _URL, "an absolute http or https URL"),
        jurisdiction=_shaped(
            "jurisdiction",
            request.jurisdiction,
            _JURISDICTION,
            "ISO 3166-1 or 3166-2, such as US-NJ",
        ),
        merchant_category_code=_shaped(
            "merchant_category_code", request.merchant_category_code, _MCC, "four digits"
        ),
        off_session=request.off_session,
        installments=_installments(request.installments, instrument.method),
    )


def _installments(count: int, method: Method) -> int:
    """In how many parts; unset is one, so that both ways to say it are the same request."""
    if not 0 <= count <= INSTALLMENTS_MAX:
        raise FieldInvalid("installments", str(count), f"between 1 and {INSTALLMENTS_MAX}")
    if count > 1 and method is not Method.CARD:
        raise FieldInvalid("installments", str(count), "unset: only cards are paid in installments")
    return max(count, 1)


def to_instrument(instrument: instrument_pb2.Instrument) -> Instrument:
    """The instrument as a value, every field checked."""
    method = _METHODS.get(instrument.method)
    if method is None:
        raise FieldRequired(field="instrument.method")
    _count("instrument.tokens", len(instrument.tokens), TOKENS_MAX)
    if method is Method.CARD and not instrument.tokens:
        raise FieldRequired(field="instrument.tokens")
    if not 0 <= instrument.funding < len(_FUNDING):
        raise FieldInvalid("instrument.funding", str(instrument.funding), "a value of CardFunding")
    return Instrument(
        method=method,
        fingerprint=to_text(
            "instrument.fingerprint", instrument.fingerprint, FINGERPRINT_MAX_CHARS, required=False
        ),
        bin=_shaped("instrument.bin", instrument.bin, _BIN, "six to eight digits"),
        brand=_shaped(
            "instrument.brand", instrument.brand, _BRAND, "a brand in lower case, such as visa"
        ),
        funding=_FUNDING[instrument.funding],
        issuer_country=_shaped(
            "instrument.issuer_country", instrument.issuer_country, _COUNTRY, "ISO 3166-1 alpha-2"
        ),
        last4=_shaped("instrument.last4", instrument.last4, _LAST4, "four digits"),
        tokens=tuple(_token(i, token) for i, token in enumerate(instrument.tokens)),
        chain=_shaped("instrument.chain", instrument.chain, _CHAIN, "CAIP-2, such as eip155:1"),
        wallet_address=_shaped(
            "instrument.wallet_address",
            instrument.wallet_address,
            _ADDRESS,
            "an address of its chain",
        ),
    )


def _token(number: int, token: instrument_pb2.InstrumentToken) -> Token:
    field = f"instrument.tokens[{number}]"
    scope = _SCOPES.get(token.scope)
    if scope is None:
        raise FieldRequired(field=f"{field}.scope")
    if (scope is TokenScope.PROCESSOR_ACCOUNT) != bool(token.processor_account):
        raise FieldInvalid(
            field=f"{field}.processor_account", value=token.processor_account or "empty",
            expected="set exactly when scope is SCOPE_PROCESSOR_ACCOUNT",
        )  # fmt: skip
    account = _shaped(
        f"{field}.processor_account", token.processor_account, _ACCOUNT, "an account id"
    )
    return Token(scope, account, to_text(f"{field}.token", token.token, TOKEN_MAX_CHARS))


def to_text(field: str, value: str, longest: int, *, required: bool = True) -> str:
    """A text of at most `longest` characters; blanks alone are nothing."""
    if required and not value.strip():
        raise FieldRequired(field=field)
    if len(value) > longest:
        expected = f"at most {longest} characters"
        raise FieldInvalid(field=field, value=f"{len(value)} characters long", expected=expected)
    return value


def _shaped(field: str, value: str, shape: re.Pattern[str], expected: str) -> str:
    if value and (len(value) > URL_MAX_CHARS or shape.fullmatch(value) is None):
        raise FieldInvalid(field=field, value=value[:64], expected=expected)
    return value


def _count(field: str, count: int, most: int) -> None:
    if count > most:
        raise FieldInvalid(field=field, value=f"{count} entries long", expected=f"at most {most}")
