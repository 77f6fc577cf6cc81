"""A service that only tests know: its contract uses every rule that the pipeline reads."""

import importlib
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.api import field_behavior_pb2
from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
SERVICE = "parcels.v1.ParcelService"


def _compiled() -> tuple[Any, Any]:
    folder = tempfile.mkdtemp(prefix="parcels-")
    includes = (
        HERE,
        HERE.parents[1] / "protos",
        Path(field_behavior_pb2.__file__).resolve().parents[2],
        Path(str(files("grpc_tools"))) / "_proto",
    )
    arguments = ["protoc", *(f"-I{path}" for path in includes)]
    arguments += [f"--python_out={folder}", f"--grpc_python_out={folder}", "parcels.proto"]
    if protoc.main(arguments):
        raise RuntimeError("parcels.proto does not compile: see protoc's message above")
    sys.path.append(folder)
    return importlib.import_module("parcels_pb2"), importlib.import_module("parcels_pb2_grpc")


pb, grpc_stubs = _compiled()
