"""The device of a payer as the payments API's `Device` message has it, in its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cashier_sandbox.http.fields import Fields

HEADER_MAX_CHARS = 2_048
LANGUAGE_MAX_CHARS = 35
SIZE_MAX_PX = 999_999
DEPTH_MAX_BITS = 64
OFFSET_MAX_MINUTES = 840
# What makes a browser more than one of many, and stays the same from visit to visit.
_FINGERPRINTED = (
    "userAgent",
    "language",
    "colorDepthBits",
    "screenHeightPx",
    "screenWidthPx",
    "timeZoneOffsetMinutes",
)


def read_browser(told: object, accept: str) -> dict[str, Any]:
    """Return the `Browser` block of what a page's script has told; refused when malformed."""
    fields = Fields(told if isinstance(told, dict) else {})
    offset = OFFSET_MAX_MINUTES
    browser = {
        "acceptHeader": accept,
        "userAgent": fields.text("userAgent", most=HEADER_MAX_CHARS),
        "language": fields.text("language", most=LANGUAGE_MAX_CHARS),
        "colorDepthBits": fields.integer("colorDepthBits", least=1, most=DEPTH_MAX_BITS),
        "screenHeightPx": fields.integer("screenHeightPx", least=1, most=SIZE_MAX_PX),
        "screenWidthPx": fields.integer("screenWidthPx", least=1, most=SIZE_MAX_PX),
        "timeZoneOffsetMinutes": fields.integer(
            "timeZoneOffsetMinutes", least=-offset, most=offset
        ),
        "javaEnabled": fields.flag("javaEnabled", default=False),
        "javascriptEnabled": fields.flag("javascriptEnabled", default=True),
    }
    fields.end()
    return browser


def scriptless_browser(headers: Mapping[str, str], accept: str) -> dict[str, Any]:
    """Return what is known of a browser that runs no scripts."""
    language = headers.get("Accept-Language", "en").partition(",")[0].partition(";")[0]
    return {
        "acceptHeader": accept,
        "userAgent": headers.get("User-Agent", "")[:HEADER_MAX_CHARS],
        "language": language[:LANGUAGE_MAX_CHARS],
        "javaEnabled": False,
        "javascriptEnabled": False,
    }


def device_json(browser: dict[str, Any], *, address: str, session: str) -> dict[str, Any]:
    """Return a `Device`; its fingerprint is the same for the same browser, whoever's session."""
    marks = "\x1f".join(str(browser.get(name, "")) for name in _FINGERPRINTED)
    device = {
        "fingerprint": f"dev_{sha256(marks.encode()).hexdigest()[:40]}",
        "ipAddress": address,
        "browser": browser,
    }
    return device | {"sessionHash": sha256(session.encode()).hexdigest()} if session else device
