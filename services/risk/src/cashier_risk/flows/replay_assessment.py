"""Read an assessment, or make it again from what was kept and say what differs."""

from dataclasses import dataclass

from cashier_common.errors import ResourceNotFound
from cashier_risk.domain.assessment import Assessment, assess_facts, differences
from cashier_risk.domain.document import DocumentInvalid
from cashier_risk.domain.facts import Facts
from cashier_risk.domain.rule_document import parse
from cashier_risk.domain.rules import RuleSet
from cashier_risk.flows.ports import Desk


@dataclass(frozen=True, slots=True)
class Replay:
    """The decision made again (the stored one where that is impossible) and what differs."""

    assessment: Assessment
    differences: tuple[str, ...]


async def get_assessment(name: str, desk: Desk, *, merchant: str) -> Assessment:
    """The assessment as it was made; ResourceNotFound also when it is another merchant's."""
    stored = await desk.archive.assessment(name)
    if stored is None or stored.merchant != merchant:
        raise ResourceNotFound(name=name)
    return stored


async def replay_assessment(name: str, desk: Desk, *, merchant: str) -> Replay:
    """Decide again from the stored features by the stored rule set; writes nothing."""
    stored = await get_assessment(name, desk, merchant=merchant)
    try:
        rules = await _rules(stored.rule_set_version, desk)
        facts = Facts.of(stored.features)
    except DocumentInvalid as refusal:
        return Replay(stored, (f"the rule set can no longer be read: {refusal.faults}",))
    except (KeyError, TypeError, ValueError) as error:
        return Replay(stored, (f"the stored features can no longer be read: {error}",))
    if rules is None:
        return Replay(stored, (f"the rule set {stored.rule_set_version} was not kept",))
    again = assess_facts(facts, rules, at=stored.create_time)
    return Replay(again, tuple(differences(stored, again)))


async def _rules(version: str, desk: Desk) -> RuleSet | None:
    if version == desk.rules.version:
        return desk.rules
    text = await desk.archive.rule_document(version)
    return None if text is None else parse(text, version)
