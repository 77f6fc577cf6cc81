"""Makes the checked-in stubs from the contracts, and holds both against what was promised.

`write` regenerates protos/gen, `check` fails when it is stale, `lint` runs buf's lint and breaking
rules, `release` renews the image that `lint` compares with. All of it works without a network.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

from google.api import field_behavior_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
STUBS = PROTOS / "gen"
RELEASED = PROTOS / "released.binpb"
BIN = Path(sys.executable).parent
# `google/api/*.proto` and `google/rpc/*.proto` lie in googleapis-common-protos, beside the stubs.
GOOGLEAPIS = Path(field_behavior_pb2.__file__).resolve().parents[2]
WELL_KNOWN = Path(str(files("grpc_tools"))) / "_proto"
SERVICE = re.compile(r"^service ", re.MULTILINE)
PACKAGE_DOCSTRING = '"""Generated from protos/{folder}; `make protos` writes it."""\n'


class ContractsBroken(Exception):
    """What a reader has to mend, as a sentence."""


def contracts(protos: Path = PROTOS) -> list[str]:
    """Every contract as protoc names it, in a fixed order."""
    return sorted(str(path.relative_to(protos)) for path in protos.glob("cashier/**/*.proto"))


def write(protos: Path = PROTOS, stubs: Path = STUBS) -> None:
    """Bring `stubs` to what the contracts say; files that do not change keep their time."""
    fresh = dict(generated(protos))
    for path in sorted((stubs / "cashier").rglob("*")):
        name = str(path.relative_to(stubs))
        if path.is_file() and name not in fresh and "__pycache__" not in path.parts:
            path.unlink()
    for name, content in fresh.items():
        path = stubs / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def check(protos: Path = PROTOS, stubs: Path = STUBS) -> None:
    """Raise ContractsBroken naming each stub that is missing, changed or left over."""
    fresh = dict(generated(protos))
    present = {
        str(path.relative_to(stubs)): path.read_bytes()
        for path in (stubs / "cashier").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    stale = sorted(n for n in fresh.keys() | present.keys() if fresh.get(n) != present.get(n))
    if stale:
        raise ContractsBroken(f"stale stubs, run `make protos`: {', '.join(stale)}")


def lint(protos: Path = PROTOS, released: Path = RELEASED) -> None:
    """Raise ContractsBroken with buf's findings, if it has any."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "contracts.binpb"
        image.write_bytes(described(protos))
        run(BIN / "buf", "lint", image, "--config", PROTOS / "buf.yaml")
        if released.exists():
            config = ("--config", PROTOS / "buf.yaml", "--against-config", PROTOS / "buf.yaml")
            run(BIN / "buf", "breaking", image, "--against", released, *config)


def release(protos: Path = PROTOS, released: Path = RELEASED) -> None:
    """Make today's contracts the ones that later ones are compared with."""
    released.write_bytes(described(protos, comments=False))


def generated(protos: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file that belongs below protos/gen."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        messages = contracts(protos)
        compile_contracts(
            protos,
            messages,
            f"--plugin=protoc-gen-mypy={BIN / 'protoc-gen-mypy'}",
            f"--python_out={out}",
            f"--mypy_out=quiet:{out}",
        )
        if services := [name for name in messages if SERVICE.search((protos / name).read_text())]:
            compile_contracts(
                protos,
                services,
                f"--plugin=protoc-gen-mypy_grpc={BIN / 'protoc-gen-mypy_grpc'}",
                f"--grpc_python_out={out}",
                f"--mypy_grpc_out=quiet:{out}",
            )
        (out / "cashier" / "py.typed").touch()
        # Clients find the service config in the package of the stubs.
        for config in sorted((protos / "service_config").glob("*.json")):
            copy = out / "cashier" / "service_config" / config.name
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(config.read_bytes())
        for package in sorted({path.parent for path in out.rglob("*.py")} | {out / "cashier"}):
            for each in (package, *package.parents):
                if each == out:
                    break
                docstring = PACKAGE_DOCSTRING.format(folder=each.relative_to(out))
                (each / "__init__.py").write_text(docstring)
        for path in sorted(out.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(out)), path.read_bytes()


def described(protos: Path, *, comments: bool = True) -> bytes:
    """The contracts and all that they import, as one descriptor image."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        source = ["--include_source_info"] if comments else []
        options = [f"--descriptor_set_out={image}", "--include_imports", *source]
        compile_contracts(protos, contracts(protos), *options)
        return image.read_bytes()


def compile_contracts(protos: Path, names: list[str], *options: str) -> None:
    """Run protoc over these contracts, with Google's annotations on its path."""
    includes = [f"-I{folder}" for folder in (protos, GOOGLEAPIS, WELL_KNOWN)]
    if protoc.main(["protoc", *includes, *options, *names]) != 0:
        raise ContractsBroken("protoc refused the contracts; its message stands above")


def run(*command: str | Path) -> None:
    """Run one buf command; its findings become the error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ContractsBroken(f"{done.stdout}{done.stderr}".strip())


COMMANDS: dict[str, Callable[[], None]] = {
    "write": write,
    "check": check,
    "lint": lint,
    "release": release,
}


if __name__ == "__main__":
    command = COMMANDS.get(" ".join(sys.argv[1:]))
    if command is None:
        sys.exit(f"usage: stubs.py {'|'.join(COMMANDS)}")
    try:
        command()
    except ContractsBroken as error:
        sys.exit(str(error))
