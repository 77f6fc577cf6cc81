"""A processor's published OpenAPI schema: what is wrong with a request or an answer by it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from tests.architecture.repository import ROOT

FOLDER = ROOT / ".tools/openapi"
FORM = "application/x-www-form-urlencoded"
_URN = "urn:openapi"


@cache
def published(name: str) -> "Schema":
    """A schema that the set-up keeps, by its path in `schemas.txt`."""
    path = FOLDER / name
    assert path.exists(), f"{path} is missing: run .ci/setup"
    return Schema(path)


class Schema:
    """One OpenAPI 3.0 document; its methods answer sentences, none when all is well."""

    def __init__(self, path: Path) -> None:
        self.document = _rooted(json.loads(path.read_text()))
        resource = Resource.from_contents(self.document, default_specification=DRAFT4)
        self._registry = Registry().with_resource(_URN, resource)
        self._paths: dict[str, re.Pattern[str]] = {
            template: re.compile(re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(template)))
            for template in sorted(self.document["paths"], key=lambda text: text.count("{"))
        }

    def template(self, path: str) -> str:
        """The documented path that a path is one of; those without parameters first."""
        for template, pattern in self._paths.items():
            if pattern.fullmatch(path):
                return template
        raise LookupError(f"{path} is not documented")

    def form_faults(self, path: str, body: str) -> list[str]:
        """What is wrong with a form-encoded POST."""
        schema = self._request(path, FORM)
        return self.faults(schema, _typed(schema, _nested(body)))

    def query_faults(self, path: str, query: str) -> list[str]:
        """What is wrong with the query of a GET."""
        asked = self.document["paths"][self.template(path)]["get"].get("parameters", [])
        schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {one["name"]: one["schema"] for one in asked if one["in"] == "query"},
        }
        return self.faults(schema, _typed(schema, _nested(query)))

    def json_faults(self, path: str, body: Any) -> list[str]:
        """What is wrong with a JSON POST."""
        return self.faults(self._request(path, "application/json"), body)

    def answer_faults(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What is wrong with an answer, properties that no schema knows included."""
        answers = self.document["paths"][self.template(path)][method]["responses"]
        answer = answers.get(str(status)) or answers["default"]
        schema = answer["content"]["application/json"]["schema"]
        return self.faults(schema, body) + [
            f"{name} is in no schema" for name in self.unknown(schema, body)
        ]

    def component_faults(self, name: str, body: Any) -> list[str]:
        """What is wrong with an object that one component describes."""
        return self.faults({"$ref": f"{_URN}#/components/schemas/{name}"}, body)

    def faults(self, schema: Any, body: Any) -> list[str]:
        validator = OAS30Validator(schema, registry=self._registry)
        return [
            f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(body)
        ]

    def unknown(self, schema: Any, body: Any) -> Iterator[str]:
        """Top-level properties, and those of a list's items, that the schema does not name."""
        known = self._resolved(schema).get("properties", {})
        if not isinstance(body, dict) or not known:
            return
        yield from (name for name in body if name not in known)
        for name in ("data", "error"):
            below = known.get(name, {})
            items = body.get(name) if isinstance(body.get(name), list) else [body.get(name)]
            for item in items:
                for unknown in self.unknown(below.get("items", below), item):
                    yield f"{name}.{unknown}"

    def _resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            *_, kind, name = schema["$ref"].split("/")
            schema = self.document["components"][kind][name]
        return schema

    def _request(self, path: str, content: str) -> Any:
        operation = self.document["paths"][self.template(path)]["post"]
        body = operation.get("requestBody")
        return (
            body["content"][content]["schema"] if body else {"type": "object", "maxProperties": 0}
        )


def _rooted(node: Any) -> Any:
    """Rewrite references for a registry, and say `null` where the validator overlooks it.

    It ignores `nullable` beside `anyOf` and `enum`, and would find faults that are none.
    """
    if isinstance(node, list):
        return [_rooted(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {name: _rooted(value) for name, value in node.items()}
    reference = made.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        made["$ref"] = _URN + reference
    if made.get("nullable") is True:
        if isinstance(made.get("anyOf"), list):
            made["anyOf"] = [*made["anyOf"], {"enum": [None]}]
        if isinstance(made.get("enum"), list):
            made["enum"] = [*made["enum"], None]
    return made


def _nested(text: str) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        path = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        at = root
        for part in path[:-1]:
            at = at.setdefault(part, {})
        at[path[-1] or str(len(at))] = value
    return root


def _typed(schema: Any, value: Any) -> Any:
    """A form knows strings alone: give each the type that its schema asks for."""
    if "anyOf" in schema:
        tried = [_typed(option, value) for option in schema["anyOf"]]
        fits = [one for one, option in zip(tried, schema["anyOf"], strict=True) if _is(option, one)]
        return fits[0] if fits else value
    kind = schema.get("type")
    if kind == "object" and isinstance(value, dict):
        known = schema.get("properties", {})
        return {name: _typed(known.get(name, {}), item) for name, item in value.items()}
    if kind == "array" and isinstance(value, dict):
        return [_typed(schema.get("items", {}), item) for item in value.values()]
    if kind == "integer" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if kind == "boolean" and value in {"true", "false"}:
        return value == "true"
    return value


def _is(schema: Any, value: Any) -> bool:
    kinds = {"object": dict, "array": list, "integer": int, "boolean": bool, "string": str}
    kind = kinds.get(schema.get("type", ""), object)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
