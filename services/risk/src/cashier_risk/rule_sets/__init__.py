"""Rule documents that ship with the service, and the way to the one that decides."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from cashier_common.settings import SettingsRefused
from cashier_risk.domain.document import DocumentInvalid
from cashier_risk.domain.rule_document import parse
from cashier_risk.domain.rules import RuleSet

SHIPPED: Final = "first.yaml"


def load_rules(path: Path | None) -> RuleSet:
    """The rule set of a file, or the shipped one; SettingsRefused says what is wrong with it."""
    source = str(path) if path else SHIPPED
    try:
        text = (path or files(__name__) / SHIPPED).read_text(encoding="utf-8")
        return parse(text, source)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused(
            f"the rule document {source} cannot be read ({type(error).__name__}): "
            "name a readable YAML file in CASHIER_RULE_SET or unset it"
        ) from None
    except DocumentInvalid as refusal:
        raise SettingsRefused(str(refusal)) from None
