"""What an adapter still lacks, so that nobody has to remember the list."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from inspect import getmembers, isclass
from pathlib import Path
from types import ModuleType
from typing import Final

import yaml

from cashier_gateway.app import ADAPTERS
from cashier_gateway.clients.declines import DeclineMapRefused, load_codes
from cashier_gateway.domain.call import Kind
from cashier_gateway.domain.declines import ANY
from cashier_gateway.flows.ports import Processor

PACKAGE: Final = Path(__file__).parent
CLIENTS: Final = PACKAGE / "clients"
FILES: Final = ("__init__.py", "adapter.py", "wire.py", "declines.yaml")
METHODS: Final = tuple(name for name in vars(Processor) if not name.startswith("_"))
# Of a checkout; an installed package has no tests beside it.
SUITE: Final = PACKAGE.parents[4] / "tests" / "support" / "processor_stands.py"
DEVELOPMENT_ACCOUNTS: Final = PACKAGE / "accounts.dev.yaml"


def gaps(name: str, *, clients: Path = CLIENTS, suite: Path = SUITE) -> list[str]:
    """A sentence for each thing that the adapter lacks; empty when it is whole."""
    return list(_gaps(name, clients, suite))


def _gaps(name: str, clients: Path, suite: Path) -> Iterator[str]:
    folder = clients / name
    missing = [file for file in FILES if not (folder / file).is_file()]
    yield from (f"clients/{name}/{file} is not there" for file in missing)
    if "declines.yaml" not in missing and clients == CLIENTS:
        yield from _row_gaps(name)
    if "adapter.py" not in missing and clients == CLIENTS:
        yield from _method_gaps(name)
    if name not in ADAPTERS:
        yield f"app.ADAPTERS does not name {name}, so no account can be at it"
    accounts = yaml.safe_load(DEVELOPMENT_ACCOUNTS.read_text(encoding="utf-8"))["accounts"]
    if name not in {account["processor"] for account in accounts}:
        yield f"accounts.dev.yaml has no account at {name}, so nobody can try it"
    if not suite.is_file():
        yield "the conformance suite is not here: run this in a checkout of the repository"
    elif f'processor="{name}"' not in suite.read_text(encoding="utf-8"):
        yield f'{suite.name} has no entry with processor="{name}": it is held to nothing'


def _row_gaps(name: str) -> Iterator[str]:
    try:
        codes = load_codes(name)
    except (DeclineMapRefused, KeyError, ValueError, yaml.YAMLError) as error:
        yield f"clients/{name}/declines.yaml cannot be used: {error!r}"
        return
    if not codes.declines.rows:
        yield f"clients/{name}/declines.yaml has no decline: every no would be UNRECOGNISED"
    if not codes.errors.rows:
        yield f"clients/{name}/declines.yaml has no error: every refusal would be a doubt"
    spoken_of = {row.operation for row in (*codes.declines.rows, *codes.errors.rows)}
    for kind in Kind:
        if not {kind.value, ANY} & spoken_of:
            yield f"clients/{name}/declines.yaml has no row about a {kind}"


def _method_gaps(name: str) -> Iterator[str]:
    where = f"cashier_gateway.clients.{name}.adapter"
    if find_spec(where) is None:
        yield f"{where} cannot be imported"
        return
    adapters = _adapters(import_module(where))
    if not adapters:
        yield f"clients/{name}/adapter.py has no class whose name ends in Processor"
    for adapter in adapters:
        for method in METHODS:
            if not callable(getattr(adapter, method, None)):
                yield f"{adapter.__name__} has no {method}"


def _adapters(module: ModuleType) -> list[type]:
    own = (found for _, found in getmembers(module, isclass) if found.__module__ == module.__name__)
    return [found for found in own if found.__name__.endswith("Processor")]
