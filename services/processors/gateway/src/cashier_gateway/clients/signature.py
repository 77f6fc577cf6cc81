"""Webhooks that are signed over a time and their raw bytes, before anything of them is read."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from cashier_gateway.domain.notice import NoticeFault, NoticeRefused

# Stripe's own tolerance, and money-safety.md's: an older message may be a replay.
SKEW_MAX_S: Final = 300
# One for each live secret of an endpoint, of which there are two while one is rolled over.
SIGNATURES_MAX: Final = 8
_UNIX_DIGITS: Final = 10


def verify(
    headers: Mapping[str, str],
    body: bytes,
    *,
    header: str,
    secrets: tuple[str, ...],
    now: datetime,
) -> None:
    """NoticeRefused unless `header: t=…,v1=…` fits one of the secrets, and was made just now.

    A signature is the hexadecimal HMAC-SHA256 of `<t>.<body>`.
    """
    told = next((text for name, text in headers.items() if name.lower() == header.lower()), "")
    parts = [part.strip().partition("=") for part in told.split(",")]
    times = [text for name, _, text in parts if name == "t"]
    signatures = [text for name, _, text in parts if name == "v1"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit() or not signatures:
        raise NoticeRefused(NoticeFault.UNVERIFIED, f"the header {header} needs one t= and a v1=")
    signed = times[0].encode() + b"." + body
    matches = False
    for secret in secrets:  # every pair is compared, so that the time tells nothing
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        for signature in signatures[:SIGNATURES_MAX]:
            matches |= hmac.compare_digest(expected, signature.encode(errors="replace"))
    if not matches:
        raise NoticeRefused(
            NoticeFault.UNVERIFIED,
            f"no signature fits any of the account's {len(secrets)} webhook secrets",
        )
    if len(times[0]) > _UNIX_DIGITS or abs(now.timestamp() - int(times[0])) > SKEW_MAX_S:
        raise NoticeRefused(
            NoticeFault.UNVERIFIED, f"it was signed more than {SKEW_MAX_S} s from now"
        )
