"""The list of what an adapter lacks: it is empty for ours, and it bites on what is taken away."""

import shutil
import types

import pytest
from typer.testing import CliRunner

from cashier_gateway import adapter_gaps
from cashier_gateway.__main__ import main
from cashier_gateway.adapter_gaps import CLIENTS, SUITE, gaps
from cashier_gateway.app import ADAPTERS
from cashier_gateway.clients.declines import Codes
from cashier_gateway.domain.declines import Category, DeclineMap, Row


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_our_adapters_lack_nothing(name):
    assert [] == gaps(name)


@pytest.mark.parametrize("file", ["adapter.py", "wire.py", "declines.yaml"])
def test_a_missing_file_is_told(tmp_path, file):
    shutil.copytree(CLIENTS / "stripe", tmp_path / "stripe")
    (tmp_path / "stripe" / file).unlink()

    assert [f"clients/stripe/{file} is not there"] == gaps("stripe", clients=tmp_path)


def test_an_adapter_that_is_held_to_nothing_is_told(tmp_path):
    suite = tmp_path / "processor_stands.py"
    suite.write_text(SUITE.read_text().replace('processor="stripe"', 'processor="nobody"'))

    [gap] = gaps("stripe", suite=suite)

    assert "held to nothing" in gap


@pytest.mark.parametrize("method", ["send", "look_up", "close_door", "read_notices", "close"])
def test_a_missing_method_is_told(monkeypatch, method):
    class HalfAProcessor:
        pass

    for name in adapter_gaps.METHODS:
        if name != method:
            setattr(HalfAProcessor, name, lambda self: None)
    HalfAProcessor.__module__ = "half"
    module = types.ModuleType("half")
    module.HalfAProcessor = HalfAProcessor
    monkeypatch.setattr(adapter_gaps, "import_module", lambda _: module)

    assert [f"HalfAProcessor has no {method}"] == gaps("stripe")


def test_a_map_that_is_silent_about_an_operation_is_told(monkeypatch):
    about_authorizations = DeclineMap(
        [Row("authorize", "no", "*", meaning="DO_NOT_HONOR", category=Category.HARD)]
    )
    silent = Codes(declines=about_authorizations, errors=about_authorizations)
    monkeypatch.setattr(adapter_gaps, "load_codes", lambda _: silent)

    assert [
        f"clients/stripe/declines.yaml has no row about a {kind}"
        for kind in ("capture", "void", "refund", "payout")
    ] == gaps("stripe")


def test_the_command_lists_everything_of_a_processor_that_nobody_wrote():
    told = CliRunner().invoke(main, ["adapter-gaps", "pix"])

    assert 1 == told.exit_code
    assert "clients/pix/adapter.py is not there" in told.output
    assert "app.ADAPTERS does not name pix" in told.output
    assert 'no entry with processor="pix"' in told.output


def test_the_command_says_when_nothing_is_lacking():
    told = CliRunner().invoke(main, ["adapter-gaps", "sandbox"])

    assert (0, "sandbox lacks nothing that can be counted\n") == (told.exit_code, told.output)
