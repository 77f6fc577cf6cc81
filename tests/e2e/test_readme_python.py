"""The Python that the README shows makes a payment as it stands."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN_S = 60.0


def test_the_first_payment_from_python(whole_mesh):
    shown = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    certificates = whole_mesh.mesh.config.data_dir / "certs"
    program = shown.replace('".cashier/certs"', repr(str(certificates))).replace(
        "localhost:7401", whole_mesh.targets["router"]
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=RUN_S,
    )  # fmt: skip

    assert 0 == ran.returncode, ran.stderr
    assert "state: STATE_SUCCEEDED" in ran.stdout
