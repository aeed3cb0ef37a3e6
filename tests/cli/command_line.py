"""The command line as a user meets it: arguments in; exit code, two streams and files out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx_reciprocam.cli import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOISE = ("Traceback", "onnxruntime::", "[E:onnx", "[W:onnx", "[libprotobuf", "graphsurgeon", "Warning:", "libpng")


@dataclass(frozen=True)
class CommandLine:
    folder: Path
    capture: pytest.CaptureFixture[str]

    def works(self, *arguments: str) -> str:
        """What a call that succeeds says on stdout; it says nothing on stderr but what is no error."""
        code = run(list(arguments))
        out, err = self.capture.readouterr()
        assert (code, "error:" in err) == (0, False), err
        assert not [word for word in NOISE if word in out + err]
        return out

    def fails(self, *arguments: str, code: int = 2) -> str:
        """The one line of a call that fails, which leaves every file and folder as it was."""
        before = self.files()
        assert run(list(arguments)) == code
        out, err = self.capture.readouterr()
        assert not [word for word in NOISE if word in out + err], err
        lines = [line for line in err.splitlines() if not line.startswith("No preprocessing in the file")]
        assert len(lines) == 1, err
        assert lines[0].startswith("error: ")
        assert self.files() == before
        return lines[0].removeprefix("error: ")

    def files(self) -> dict[str, bytes | None]:
        """Every file's bytes by its name; None for a folder."""
        return {
            str(path.relative_to(self.folder)): None if path.is_dir() else path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.name != ".ses"  # onnxruntime's own, in the folder for temporary files
        }
