from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import onnx_reciprocam
onnx_reciprocam.ExplainedSession, onnx_reciprocam.Explanation, onnx_reciprocam.Preprocessing
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return set(finished.stdout.split())


@pytest.mark.parametrize("package", ["onnx", "onnx_graphsurgeon", "typer", "rich", "google"])
def test_a_service_does_not_import(imported: set[str], package: str) -> None:
    assert {"numpy", "onnxruntime", "cv2", "onnx_reciprocam"} <= imported
    assert package not in imported
