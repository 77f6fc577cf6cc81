"""Stubs, lint, compatibility and the service config follow the contracts."""

import importlib
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from cashier.common.v1 import options_pb2
from tests.architecture.repository import ROOT

PROTOS = ROOT / "protos"
# They require a key and may be repeated all the same: asking twice does nothing that asking once
# has not done.
REPEATABLE = {
    "cashier.gateway.v1.GatewayService/LookUp",
    "cashier.risk.v1.RiskService/Assess",
    "cashier.risk.v1.RiskService/ReportOutcome",
}
CONTRACT = """syntax = "proto3";

package cashier.lamp.v1;

// A lamp.
message Lamp {
  // How bright, in lumens.
  int32 brightness_lumens = 1;
}
"""


@pytest.fixture(scope="module")
def stubs() -> ModuleType:
    """The command beside the contracts, as a module."""
    path = PROTOS / "stubs.py"
    spec = importlib.util.spec_from_file_location("stubs", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    """A folder with one sound contract."""
    contract = tmp_path / "cashier/lamp/v1/lamp.proto"
    contract.parent.mkdir(parents=True)
    contract.write_text(CONTRACT)
    return tmp_path


def change(protos: Path, before: str, after: str) -> None:
    contract = protos / "cashier/lamp/v1/lamp.proto"
    assert before in contract.read_text()
    contract.write_text(contract.read_text().replace(before, after))


def test_the_stubs_are_what_the_contracts_give(stubs):
    stubs.check()


def test_the_contracts_pass_lint_and_break_nothing_released(stubs):
    stubs.lint()


def test_a_stub_that_was_changed_or_left_over_or_lost_is_found(stubs, protos):
    stubs.write(protos, protos / "gen")
    stubs.check(protos, protos / "gen")
    folder = protos / "gen/cashier/lamp/v1"
    (folder / "lamp_pb2.pyi").unlink()
    (folder / "lamp_pb2.py").write_text("edited by hand\n")
    (folder / "shade_pb2.py").touch()

    with pytest.raises(stubs.ContractsBroken) as found:
        stubs.check(protos, protos / "gen")

    expected = (
        "cashier/lamp/v1/lamp_pb2.py, cashier/lamp/v1/lamp_pb2.pyi, cashier/lamp/v1/shade_pb2.py"
    )
    assert f"stale stubs, run `make protos`: {expected}" == str(found.value)


def test_a_contract_that_moved_on_without_its_stubs_is_found(stubs, protos):
    stubs.write(protos, protos / "gen")
    change(protos, "brightness_lumens = 1", "brightness_lumens = 2")

    with pytest.raises(stubs.ContractsBroken, match=r"lamp_pb2\.py"):
        stubs.check(protos, protos / "gen")


def test_writing_twice_gives_the_same_bytes(stubs, protos):
    stubs.write(protos, protos / "gen")
    shutil.copytree(protos / "gen", protos / "again")
    stubs.write(protos, protos / "again")

    stubs.check(protos, protos / "again")


def test_a_field_without_a_comment_is_found(stubs, protos):
    change(protos, "  // How bright, in lumens.\n", "")

    with pytest.raises(stubs.ContractsBroken, match=r"brightness_lumens.*comment"):
        stubs.lint(protos, protos / "released.binpb")


@pytest.mark.parametrize(
    ("before", "after"),
    [("int32", "int64"), ("brightness_lumens", "glow_lumens"), ("= 1", "= 2")],
)
def test_a_change_that_breaks_a_released_contract_is_found(stubs, protos, before, after):
    stubs.release(protos, protos / "released.binpb")
    change(protos, before, after)

    with pytest.raises(stubs.ContractsBroken, match=r"lamp\.proto"):
        stubs.lint(protos, protos / "released.binpb")


def test_a_new_field_breaks_nothing(stubs, protos):
    stubs.release(protos, protos / "released.binpb")
    change(protos, " = 1;\n", " = 1;\n  // Its room.\n  string room = 2;\n")

    stubs.lint(protos, protos / "released.binpb")


def retried() -> list[dict[str, str]]:
    config = json.loads((PROTOS / "service_config/mesh.json").read_text())
    return [name for method in config["methodConfig"] for name in method["name"]]


def method(name: dict[str, str]) -> MethodDescriptor:
    folder = name["service"].rpartition(".")[0].replace(".", "/")
    for contract in sorted((PROTOS / folder).glob("*_service.proto")):
        importlib.import_module(f"{folder.replace('/', '.')}.{contract.stem}_pb2")
    return (
        descriptor_pool.Default().FindServiceByName(name["service"]).methods_by_name[name["method"]]
    )


@pytest.mark.parametrize("name", retried(), ids=lambda name: "/".join(name.values()))
def test_clients_repeat_only_what_moves_no_money(name):
    options = method(name).GetOptions()
    keyed = options.Extensions[options_pb2.idempotency_key_required]

    assert not keyed or "/".join(name.values()) in REPEATABLE


def test_clients_repeat_only_when_the_server_was_not_there():
    config = json.loads((PROTOS / "service_config/mesh.json").read_text())

    assert [["UNAVAILABLE"]] == [
        method["retryPolicy"]["retryableStatusCodes"] for method in config["methodConfig"]
    ]
