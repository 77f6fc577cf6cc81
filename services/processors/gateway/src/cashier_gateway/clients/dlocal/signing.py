"""How a merchant and dLocal prove who they are: an HMAC over login, date and body."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cashier_common.settings import SettingsRefused
from cashier_gateway.domain.notice import NoticeFault, NoticeRefused

SCHEME: Final = "V2-HMAC-SHA256, Signature: "
VERSION: Final = "2.1"
# money-safety.md's tolerance: an older message may be a replay. dLocal names none.
SKEW_MAX_S: Final = 300
# Trans key and secret key of payins; client id and client secret of payouts.
PAYIN_PARTS, PAYOUT_PARTS = 2, 4


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """What an account's `credential` holds; the client's two are empty without payouts."""

    trans_key: str
    secret: str
    client_id: str = ""
    client_secret: str = ""

    @classmethod
    def parse(cls, text: str, *, of: str, payouts: bool) -> "Credential":
        """`<trans key>:<secret key>[:<client id>:<client secret>]`; SettingsRefused otherwise."""
        parts = text.split(":")
        if len(parts) not in {PAYIN_PARTS, PAYOUT_PARTS} or not all(parts):
            raise SettingsRefused(
                f"credential of {of} must hold dLocal's trans key and secret key, joined by a "
                "colon, and behind them client id and client secret where it pays out"
            )
        if payouts and len(parts) < PAYOUT_PARTS:
            raise SettingsRefused(
                f"{of} pays out, and its credential lacks client id and client secret"
            )
        return cls(*parts)


def signed(login: str, credential: Credential, body: bytes, at: datetime) -> dict[str, str]:
    """The headers of a payin request."""
    date = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "Content-Type": "application/json",
        "X-Date": date,
        "X-Login": login,
        "X-Trans-Key": credential.trans_key,
        "X-Version": VERSION,
        "Authorization": SCHEME + signature(login, date, body, credential.secret),
    }


def signature(login: str, date: str, body: bytes, secret: str) -> str:
    """The hexadecimal HMAC-SHA256 over the three, without anything between them."""
    text = login.encode() + date.encode(errors="replace") + body
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def verify(
    headers: Mapping[str, str],
    body: bytes,
    *,
    login: str,
    secrets: tuple[str, ...],
    now: datetime,
) -> None:
    """NoticeRefused unless a notification was signed for our login, with our key, just now."""
    told = {name.lower(): text for name, text in headers.items()}
    date, proof = told.get("x-date", ""), told.get("authorization", "")
    if not date or not proof.startswith(SCHEME):
        raise NoticeRefused(
            NoticeFault.UNVERIFIED, f"it needs X-Date and an Authorization that begins {SCHEME!r}"
        )
    given = proof.removeprefix(SCHEME).strip().encode(errors="replace")
    matches = False
    for secret in secrets:  # every key is tried, so that the time tells nothing
        expected = signature(login, date, body, secret).encode()
        matches |= hmac.compare_digest(expected, given)
    if not matches:
        raise NoticeRefused(
            NoticeFault.UNVERIFIED,
            f"the signature fits none of the account's {len(secrets)} webhook secrets",
        )
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise NoticeRefused(NoticeFault.UNVERIFIED, "X-Date is no time") from None
    if moment.tzinfo is None or abs((now - moment).total_seconds()) > SKEW_MAX_S:
        raise NoticeRefused(
            NoticeFault.UNVERIFIED, f"it was signed more than {SKEW_MAX_S} s from now"
        )
