"""Who calls is what the client's certificate says, and one policy file says what they may do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from cashier_common.errors import Kind, Refusal
from cashier_common.settings import CALLER, SettingsRefused

PEER_URI = "peer_uri"  # gRPC's name for the URI names (SAN) of the peer's certificate
EVERYTHING = "*"
EVERY_MERCHANT = "every merchant"
NOBODY = "without a URI name"
RULE_FIELDS = {"merchants", "methods"}
MERCHANT = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
METHOD = re.compile(r"/[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)+/([A-Za-z0-9_]+|\*)")


class PeerContext(Protocol):
    """The part of a servicer's context that tells who the peer is."""

    def auth_context(self) -> Mapping[str, object]: ...


@dataclass
class CallerUnknown(Refusal):
    """The certificate's identity is in no rule of the policy."""

    kind = Kind.DENIED
    reason = "CALLER_UNKNOWN"
    text = "the access policy knows no caller {caller}: add a rule for its certificate"
    caller: str


@dataclass
class MethodDenied(Refusal):
    """The policy does not let this caller use this method."""

    kind = Kind.DENIED
    reason = "METHOD_DENIED"
    text = "{caller} may not call {method}: the access policy has no rule that allows it"
    caller: str
    method: str


@dataclass
class MerchantDenied(Refusal):
    """The policy does not let this caller act for this merchant."""

    kind = Kind.DENIED
    reason = "MERCHANT_DENIED"
    text = (
        "{caller} may not act for merchant {merchant}: the access policy has no rule that allows it"
    )
    caller: str
    merchant: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What one caller may do with one method; `merchants` is None for all of them."""

    caller: str
    merchants: frozenset[str] | None

    def check_merchant(self, merchant: str) -> None:
        """MerchantDenied unless the caller may act for it; an empty name stands for all of them."""
        if self.merchants is not None and merchant not in self.merchants:
            raise MerchantDenied(caller=self.caller, merchant=merchant or EVERY_MERCHANT)


@dataclass(frozen=True, slots=True)
class Rule:
    """One caller's lines in the policy."""

    merchants: frozenset[str] | None
    methods: tuple[str, ...]

    def allows(self, method: str) -> bool:
        return any(
            pattern in {EVERYTHING, method}
            or (pattern.endswith("/*") and method.startswith(pattern[:-1]))
            for pattern in self.methods
        )


class AccessPolicy:
    """The policy of one process; the answer for a caller and a method is worked out once."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = dict(rules)
        self._grants: dict[tuple[str, str], Grant] = {}

    def grant(self, caller: str, method: str) -> Grant:
        """What the caller may do with the method; CallerUnknown or MethodDenied when nothing."""
        grant = self._grants.get((caller, method))
        return grant if grant is not None else self._decide(caller, method)

    def knows(self, caller: str) -> bool:
        return caller in self._rules

    def _decide(self, caller: str, method: str) -> Grant:
        rule = self._rules.get(caller)
        if rule is None:
            raise CallerUnknown(caller=caller or NOBODY)
        if not rule.allows(method):
            raise MethodDenied(caller=caller, method=method)
        grant = Grant(caller, rule.merchants)
        self._grants[caller, method] = grant  # as many as rules times methods, so it needs no limit
        return grant


def caller_of(context: PeerContext) -> str:
    """The one URI name of the client's certificate; empty when it has none or several."""
    names = context.auth_context().get(PEER_URI)
    if isinstance(names, list) and len(names) == 1 and isinstance(names[0], bytes):
        return names[0].decode("ascii", "replace")
    return ""


def load_policy(path: Path) -> AccessPolicy:
    """Read `callers: {<uri>: {merchants: [...], methods: [...]}}`; SettingsRefused says why not."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused(f"the access policy {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SettingsRefused(f"the access policy {path} is not YAML: {error}") from None
    return parse_policy(document, str(path))


def parse_policy(document: object, source: str) -> AccessPolicy:
    """The same from a parsed document; `source` is what messages call it."""
    document = document if isinstance(document, dict) else {}
    callers = document.get("callers")
    if not isinstance(callers, dict) or not callers or len(document) != 1:
        raise SettingsRefused(
            f"{source}: the document must be one mapping `callers` "
            "of at least one caller's URI to its rule"
        )
    faults: list[str] = []
    rules = {str(uri): _rule(str(uri), rule, faults) for uri, rule in callers.items()}
    if faults:
        raise SettingsRefused("\n".join(f"{source}: {fault}" for fault in faults))
    return AccessPolicy(rules)


def _rule(uri: str, rule: object, faults: list[str]) -> Rule:
    if not CALLER.match(uri):
        faults.append(f"caller {uri} must look like spiffe://cashier.local/service/router")
    if not isinstance(rule, dict) or set(rule) != RULE_FIELDS:
        faults.append(f"caller {uri} must have exactly the lists `merchants` and `methods`")
        return Rule(frozenset(), ())
    merchants = _words(uri, "merchants", rule["merchants"], faults)
    methods = _words(uri, "methods", rule["methods"], faults)
    faults += [
        f"caller {uri}: merchant {merchant} must match ^[a-z0-9][a-z0-9-]{{1,62}}$, or be * alone"
        for merchant in merchants
        if MERCHANT.fullmatch(merchant) is None and merchants != (EVERYTHING,)
    ]
    faults += [
        f"caller {uri}: method {method} must be /package.Service/Method, /package.Service/* or *"
        for method in methods
        if method != EVERYTHING and METHOD.fullmatch(method) is None
    ]
    return Rule(None if merchants == (EVERYTHING,) else frozenset(merchants), methods)


def _words(uri: str, name: str, value: object, faults: list[str]) -> tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    faults.append(f"caller {uri}: `{name}` must be a list of at least one text")
    return ()
