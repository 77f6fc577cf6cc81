"""Reads a YAML document by its nodes, so that each fault names its line and its field."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

import yaml

from cashier_common.errors import Kind, Refusal

DOCUMENT_MAX_CHARS: Final = 1024 * 1024
"""The contract's limit of `document_yaml`."""
NULL_TAG: Final = "tag:yaml.org,2002:null"
_INTEGER: Final = re.compile(r"[0-9][0-9_]*")

Known = TypeVar("Known", bound=Enum)


@dataclass
class DocumentInvalid(Refusal):
    """The rule document cannot be used; `faults` is one sentence per fault."""

    kind = Kind.INVALID
    reason = "DOCUMENT_INVALID"
    text = "{document} cannot be used: {faults}"
    document: str
    faults: str


class Fault(Exception):
    """One fault of a document: where and what."""

    def __init__(self, node: yaml.Node, field: str, problem: str) -> None:
        super().__init__(f"line {node.start_mark.line + 1}: {field or 'the document'} {problem}")


@dataclass(frozen=True, slots=True)
class Value:
    """A node with the path of fields that leads to it.

    Texts are taken as they are written: the country NO stays Norway, where YAML 1.1 reads `false`.
    """

    node: yaml.Node
    path: str

    def fault(self, problem: str) -> Fault:
        """A fault at this place."""
        return Fault(self.node, self.path, problem)

    def text(self) -> str:
        """A scalar that is not empty."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag == NULL_TAG:
            raise self.fault("must be a text")
        if not self.node.value:
            raise self.fault("is empty: it must be a text")
        return str(self.node.value)

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`; underscores may group digits."""
        written = self.text()
        number = int(written.replace("_", "")) if _INTEGER.fullmatch(written) else None
        if number is None or not low <= number <= high:
            raise self.fault(f"is {written}: it must be an integer from {low} to {high}")
        return number

    def one_of(self, values: type[Known]) -> Known:
        """A member of the enum, by its name in lower case."""
        written = self.text()
        for member in values:
            if member.name.lower() == written:
                return member
        names = ", ".join(member.name.lower() for member in values)
        raise self.fault(f"is {written}: it must be one of {names}")

    def word(self, known: frozenset[str]) -> str:
        """A text out of a fixed set."""
        written = self.text()
        if written not in known:
            raise self.fault(f"is {written}: it must be one of {', '.join(sorted(known))}")
        return written

    def items(self) -> Iterator["Value"]:
        """The parts of a list, which must have at least one."""
        if not isinstance(self.node, yaml.SequenceNode) or not self.node.value:
            raise self.fault("must be a list of at least one item")
        for index, node in enumerate(self.node.value):
            yield Value(node, f"{self.path}[{index}]")

    def entries(self) -> dict[str, "Value"]:
        """The fields of a mapping; a field written twice is a fault, not the last one's victory."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.fault("must be a mapping")
        found: dict[str, Value] = {}
        for key, node in self.node.value:
            name = str(key.value)
            path = f"{self.path}.{name}" if self.path else name
            if name in found:
                raise Fault(key, path, "is written twice")
            found[name] = Value(node, path)
        return found

    def fields(
        self, *, required: frozenset[str], optional: frozenset[str]
    ) -> Mapping[str, "Value"]:
        """The fields of a mapping that must have all of `required` and nothing unknown."""
        found = self.entries()
        for name in sorted(required - found.keys()):
            raise self.fault(f"lacks the field {name}")
        for name in sorted(found.keys() - required - optional):
            known = ", ".join(sorted(required | optional))
            raise found[name].fault(f"is not a field of this mapping: it has {known}")
        return found


def root(text: str, document: str) -> Value:
    """The document's outermost mapping; DocumentInvalid when it is no YAML."""
    if len(text) > DOCUMENT_MAX_CHARS:
        raise DocumentInvalid(document, f"it is longer than {DOCUMENT_MAX_CHARS} characters")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise DocumentInvalid(document, f"{line}it is not YAML: {_problem(error)}") from None
    if node is None:
        raise DocumentInvalid(document, "it is empty")
    return Value(node, "")


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or "unreadable")
