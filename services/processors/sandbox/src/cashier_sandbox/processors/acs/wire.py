"""EMV's messages as JSON: versioning, ARes, RReq, CReq and CRes, and the result that is fetched."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from cashier_sandbox.domain.authentication import OPEN, Authentication, Finding, TransStatus
from cashier_sandbox.domain.card_script import METHOD_CASES, Case
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.flows.refusals import invalid
from cashier_sandbox.processors.acs.errors import VERSION, error_json

OLDEST_VERSION = "2.1.0"
DYNAMIC = "02"  # authenticationType: a code that is valid once
ONE_TIME_CODE = "02"  # authenticationMethod
OUT_OF_BAND = "03"
ENCODED_MAX_CHARS = 8_192


def versioning_json(desk: Desk, authentication: Authentication, notify: str) -> dict[str, Any]:
    """Return what the directory server knows of a card; no versions where it is not enrolled."""
    case = authentication.script.case
    enrolled = case is not Case.NOT_ENROLLED
    body: dict[str, Any] = {
        "threeDSServerTransID": authentication.id,
        "dsStartProtocolVersion": OLDEST_VERSION,
        "dsEndProtocolVersion": VERSION,
        "acsStartProtocolVersion": OLDEST_VERSION if enrolled else None,
        "acsEndProtocolVersion": VERSION if enrolled else None,
        "highestCommonSupportedProtocolVersion": VERSION if enrolled else None,
        "threeDSMethodURL": f"{desk.base_url}/acs/method" if case in METHOD_CASES else None,
    }
    if notify and case in METHOD_CASES:
        asked = {
            "threeDSServerTransID": authentication.id,
            "threeDSMethodNotificationURL": notify,
        }
        body["threeDSMethodData"] = encoded(asked)
    return body


def answer_json(desk: Desk, authentication: Authentication) -> dict[str, Any]:
    """Return the ARes as it was first given, or the `Erro` that came instead."""
    found, asked = authentication.answered or Finding(), authentication.asked
    if found.error:
        sentence = "the directory server did not answer the authentication request"
        return error_json(found.error, "D", sentence) | {
            "errorMessageType": "AReq",
            "threeDSServerTransID": authentication.id,
            "dsTransID": authentication.ds_id,
        }
    body = {
        "messageType": "ARes",
        "messageVersion": VERSION,
        **_ids(authentication),
        "dsReferenceNumber": "SANDBOX_DS_1",
        "acsReferenceNumber": "SANDBOX_ACS_1",
        "acsOperatorID": "sandbox",
        **finding_json(found),
    }
    if found.status == TransStatus.CHALLENGE:
        creq = {
            "messageType": "CReq",
            "messageVersion": VERSION,
            "threeDSServerTransID": authentication.id,
            "acsTransID": authentication.acs_id,
            "challengeWindowSize": asked["challengeWindowSize"],
        }
        body |= {
            "acsChallengeMandated": "Y",
            "authenticationType": DYNAMIC,
            "acsURL": f"{desk.base_url}/acs/challenge",
            "encodedCReq": encoded(creq),
        }
    if found.status == TransStatus.DECOUPLED:
        body |= {
            "acsChallengeMandated": "Y",
            "authenticationType": "04",  # decoupled
            "acsDecConInd": "Y",
        }
    return body


def authentication_json(authentication: Authentication) -> dict[str, Any]:
    """Return an authentication as it stands now: the truth that a merchant may act on."""
    found = authentication.finding
    return {
        "object": "authentication",
        "messageVersion": VERSION,
        "state": _state(authentication),
        **_ids(authentication),
        "acctNumber": authentication.card,
        **(finding_json(found) if found else {}),
        **{
            name: value
            for name, value in authentication.asked.items()
            if name.startswith("purchase")
            or name in {"merchantName", "messageCategory", "threeDSRequestorChallengeInd"}
        },
        "challengeOpened": authentication.session_data is not None,
        "results": authentication.results,
        "createdAt": authentication.created_at,
        "completedAt": authentication.result_at or None,
    }


def result_json(authentication: Authentication, found: Finding) -> dict[str, Any]:
    """Return the RReq."""
    decoupled = (authentication.answered or Finding()).status == TransStatus.DECOUPLED
    return {
        "messageType": "RReq",
        "messageVersion": VERSION,
        **_ids(authentication),
        "messageCategory": authentication.asked["messageCategory"],
        "authenticationMethod": OUT_OF_BAND if decoupled else ONE_TIME_CODE,
        "authenticationType": "04" if decoupled else DYNAMIC,
        "interactionCounter": "00" if found.cancel else "01",
        **finding_json(found),
    }


def challenge_result(authentication: Authentication) -> str:
    """Return the encoded CRes for the merchant's page, which must believe nothing of it."""
    ids = _ids(authentication)
    if authentication.script.case is Case.CHALLENGE_ERROR:
        told = error_json("404", "A", "the challenge broke") | {"errorMessageType": "CReq"} | ids
        return encoded(told)
    found = authentication.shown or authentication.finding or Finding()
    done = found.status in {TransStatus.AUTHENTICATED, TransStatus.ATTEMPTED}
    return encoded(
        {
            "messageType": "CRes",
            "messageVersion": VERSION,
            **ids,
            "challengeCompletionInd": "Y",
            "transStatus": "Y" if done else "N",
        }
    )


def finding_json(found: Finding) -> dict[str, str]:
    """Return EMV's elements of a finding, absent where they do not apply."""
    elements = {
        "transStatus": found.status,
        "transStatusReason": found.reason,
        "challengeCancel": found.cancel,
        "eci": found.eci,
        "authenticationValue": found.value,
        "errorCode": found.error,
    }
    return {name: value for name, value in elements.items() if value}


def encoded(message: dict[str, Any]) -> str:
    """Return a message as EMV's forms carry it: base64url of JSON without padding."""
    return base64.urlsafe_b64encode(orjson.dumps(message)).decode().rstrip("=")


def decoded(name: str, text: object) -> dict[str, Any]:
    """Return the message of a form's field; refused when it is none."""
    if isinstance(text, str) and len(text) <= ENCODED_MAX_CHARS:
        try:
            message = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (ValueError, binascii.Error):
            message = None
        if isinstance(message, dict):
            return message
    raise invalid(name, f"{name} must be base64url of a JSON object")


def _ids(authentication: Authentication) -> dict[str, str]:
    ids = {
        "threeDSServerTransID": authentication.id,
        "dsTransID": authentication.ds_id,
        "acsTransID": authentication.acs_id,
    }
    return {name: value for name, value in ids.items() if value}


def _state(authentication: Authentication) -> str:
    found = authentication.finding
    if found is None:
        return "created"
    if found.error:
        return "error"
    if found.status not in OPEN:
        return "completed"
    return "challenge" if found.status == TransStatus.CHALLENGE else "decoupled"
