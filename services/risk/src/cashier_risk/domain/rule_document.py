"""Turns a rule document into a rule set, or says line by line what is wrong with it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cashier_common.assets import is_known
from cashier_common.errors import FieldInvalid
from cashier_risk.domain.decision import SCORE_MAX
from cashier_risk.domain.document import DocumentInvalid, Fault, Value, root
from cashier_risk.domain.places import place
from cashier_risk.domain.rules import (
    LISTED_FIELDS,
    MISSING_FIELDS,
    PLACE_FIELDS,
    Advice,
    AmountBetween,
    AmountUnrated,
    Bands,
    Condition,
    CountryMismatch,
    Decision,
    Degraded,
    Funded,
    InPlace,
    Listed,
    Missing,
    Rule,
    RuleSet,
    Stage,
    Tagged,
    Velocity,
)
from cashier_risk.domain.velocity import COUNT_MAX, METERS

LANGUAGE: Final = 1
"""The only version of the rules language so far."""
NAME_MAX_CHARS: Final = 40
VERSION_HASH_CHARS: Final = 12
VALID_MAX_MINUTES: Final = 24 * 60
UNITS_MAX: Final = 1_000_000_000_000
FUNDINGS: Final = frozenset({"credit", "debit", "prepaid", "unknown"})
METHODS: Final = frozenset({"card", "ach", "rtp", "sepa", "pix", "voucher", "stablecoin"})

_TOP: Final = frozenset({"language", "name", "valid_minutes", "bands", "reference", "rules"})
_RULE: Final = frozenset({"id", "stage", "kind", "code"})
_EFFECTS: Final = frozenset({"score", "at_least", "advise"})


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of rule is written, and how its condition is made of that."""

    required: frozenset[str]
    build: Callable[[Mapping[str, Value], Mapping[str, int]], Condition]
    optional: frozenset[str] = frozenset()


def parse(text: str, document: str) -> RuleSet:
    """The rule set of a document; DocumentInvalid tells every faulty rule by line and field.

    `document` is what messages call it. Its version is its name and a hash of its text.
    """
    try:
        top = root(text, document).fields(required=_TOP, optional=frozenset())
        top["language"].integer(LANGUAGE, LANGUAGE)
        name = top["name"].text()
        if len(name) > NAME_MAX_CHARS:
            raise top["name"].fault(f"is longer than {NAME_MAX_CHARS} characters")
        valid_minutes = top["valid_minutes"].integer(1, VALID_MAX_MINUTES)
        bands = _bands(top["bands"])
        reference = _reference(top["reference"])
    except Fault as fault:
        raise DocumentInvalid(document, str(fault)) from None
    rules = _rules(top["rules"], reference, document)
    digest = hashlib.sha256(text.encode()).hexdigest()[:VERSION_HASH_CHARS]
    return RuleSet(f"{name}@{digest}", valid_minutes, bands, rules, text)


def _rules(value: Value, reference: Mapping[str, int], document: str) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    faults: list[str] = []
    try:
        for item in value.items():
            try:
                made = _rule(item, reference)
                if any(rule.id == made[0].id for rule in rules):
                    raise item.fault(f"has the id {made[0].id}, which another rule has")
                rules += made
            except Fault as fault:
                faults.append(str(fault))
    except Fault as fault:
        faults.append(str(fault))
    conditions = [rule.condition for rule in rules]
    if any(isinstance(condition, AmountBetween) for condition in conditions) and not any(
        isinstance(condition, AmountUnrated) for condition in conditions
    ):
        faults.append(
            f"line {value.node.start_mark.line + 1}: rules has a rule about amounts and none "
            "of kind amount_unrated: an asset without a rate would pass every band"
        )
    if faults:
        raise DocumentInvalid(document, "; ".join(faults))
    return tuple(rules)


def _bands(value: Value) -> Bands:
    names = ("step_up", "review", "decline")
    given = value.fields(required=frozenset(names), optional=frozenset())
    step_up, review, decline = (given[name].integer(1, SCORE_MAX) for name in names)
    if not step_up <= review <= decline:
        raise value.fault("must rise: step_up, then review, then decline")
    return Bands(step_up, review, decline)


def _reference(value: Value) -> Mapping[str, int]:
    table = {}
    for code, rate in value.entries().items():
        if not is_known(code):
            raise rate.fault(f"is not an asset of the registry: {code}")
        table[code] = rate.integer(1, UNITS_MAX)
    return table


def _rule(item: Value, reference: Mapping[str, int]) -> list[Rule]:
    """The rule of one item; a rule of kind amount_bands becomes one rule per band."""
    entries = item.entries()
    if "kind" not in entries:
        raise item.fault("lacks the field kind")
    kind_name = entries["kind"].word(frozenset({*_KINDS, _AMOUNT_BANDS}))
    if kind_name == _AMOUNT_BANDS:
        given = item.fields(required=_RULE | {"bands"}, optional=frozenset({"advise"}))
        return _amount_bands(given, reference)
    kind = _KINDS[kind_name]
    given = item.fields(required=_RULE | kind.required, optional=kind.optional | _EFFECTS)
    stage = given["stage"].one_of(Stage)
    at_least = given["at_least"].one_of(Decision) if "at_least" in given else Decision.FRICTIONLESS
    score = given["score"].integer(1, SCORE_MAX) if "score" in given else 0
    if stage is not Stage.SCORE:
        for name in ("score", "at_least"):
            if name in given:
                raise given[name].fault(
                    f"has no meaning in stage {stage.name.lower()}: it decides alone"
                )
    elif not score and at_least is Decision.FRICTIONLESS:
        raise item.fault("has no effect: give it a score or at_least")
    return [
        Rule(
            id=given["id"].text(),
            code=_code(given["code"]),
            stage=stage,
            condition=kind.build(given, reference),
            score=score,
            at_least=at_least,
            advise=_advise(given),
        )
    ]


_AMOUNT_BANDS: Final = "amount_bands"


def _amount_bands(given: Mapping[str, Value], reference: Mapping[str, int]) -> list[Rule]:
    stage = given["stage"].one_of(Stage)
    if stage is not Stage.SCORE:
        raise given["stage"].fault("must be score: bands add to the score")
    rows: list[tuple[int, int]] = []
    for item in given["bands"].items():
        row = item.fields(required=frozenset({"units", "score"}), optional=frozenset())
        units = row["units"].integer(0, UNITS_MAX)
        if rows and units <= rows[-1][0]:
            raise row["units"].fault("must be above the band before")
        rows.append((units, row["score"].integer(1, SCORE_MAX)))
    ends = [units for units, _ in rows[1:]]
    rule_id, code, advise = given["id"].text(), _code(given["code"]), _advise(given)
    return [
        Rule(
            id=rule_id if number == 0 else f"{rule_id}/{units}",
            code=code,
            stage=stage,
            condition=AmountBetween(units, end, reference),
            score=score,
            at_least=Decision.FRICTIONLESS,
            advise=advise,
        )
        for number, ((units, score), end) in enumerate(zip(rows, [*ends, None], strict=True))
    ]


def _code(value: Value) -> str:
    code = value.text()
    if not code.isascii() or code != code.upper() or not code.replace("_", "").isalnum():
        raise value.fault(f"is {code}: it must be in upper snake case, such as AMOUNT_HIGH")
    return code


def _advise(given: Mapping[str, Value]) -> tuple[Advice, ...]:
    if "advise" not in given:
        return ()
    return tuple(item.one_of(Advice) for item in given["advise"].items())


def _words(value: Value, known: frozenset[str]) -> tuple[str, ...]:
    return tuple(item.word(known) for item in value.items())


def _texts(value: Value) -> frozenset[str]:
    return frozenset(item.text() for item in value.items())


def _place(value: Value) -> str:
    written = value.text()
    try:
        code = place(value.path, written)
    except FieldInvalid as refusal:
        raise value.fault(f"is {written}: it must be {refusal.expected}") from None
    if code != written:
        raise value.fault(f"is {written}: write it as {code}")
    return code


_KINDS: Final[Mapping[str, _Kind]] = {
    "in_place": _Kind(
        frozenset({"fields", "places"}),
        lambda given, _: InPlace(
            _words(given["fields"], PLACE_FIELDS),
            frozenset(_place(item) for item in given["places"].items()),
        ),
    ),
    "tagged": _Kind(frozenset({"tags"}), lambda given, _: Tagged(_texts(given["tags"]))),
    "listed": _Kind(
        frozenset({"field", "values"}),
        lambda given, _: Listed(given["field"].word(LISTED_FIELDS), _texts(given["values"])),
    ),
    "amount_at_least": _Kind(
        frozenset({"units"}),
        lambda given, reference: AmountBetween(
            given["units"].integer(0, UNITS_MAX), None, reference
        ),
    ),
    "amount_unrated": _Kind(frozenset(), lambda _, reference: AmountUnrated(reference)),
    "country_mismatch": _Kind(frozenset(), lambda _given, _: CountryMismatch()),
    "funded": _Kind(
        frozenset({"fundings"}),
        lambda given, _: Funded(frozenset(_words(given["fundings"], FUNDINGS))),
    ),
    "missing": _Kind(
        frozenset({"field"}),
        lambda given, _: Missing(
            given["field"].word(MISSING_FIELDS),
            frozenset(_words(given["methods"], METHODS)) if "methods" in given else frozenset(),
        ),
        optional=frozenset({"methods"}),
    ),
    "velocity": _Kind(
        frozenset({"meter", "over"}),
        lambda given, _: Velocity(
            given["meter"].word(METERS), given["over"].integer(0, COUNT_MAX - 1)
        ),
    ),
    "degraded": _Kind(frozenset(), lambda _given, _: Degraded()),
}
