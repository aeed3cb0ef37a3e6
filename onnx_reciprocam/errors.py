"""Everything raised on purpose: one line that says what, the near misses, and the next command.

Every error carries its constructor's arguments as ``args``, so that it survives pickling to a worker.
``exit_code`` is what the command line ends with: 2 for a bad call or file, 1 for a failed check.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

INSPECT_HINT = "List candidates: onnx-reciprocam inspect MODEL.onnx"


_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_PLACE = re.compile(r"/onnxruntime_src/\S+:\d+ .*?\)( const)? ")


def runtime_reason(error: Exception) -> str:
    """The first line of onnxruntime's message, without its code and the place in its own source."""
    return (_PLACE.sub("", _CODE.sub("", str(error).strip())).splitlines() or [type(error).__name__])[0]


class ReciprocamError(Exception):
    """Base of all of them; those that a model can cause have a code, listed in docs/refusals.md."""

    exit_code: ClassVar[int] = 2
    code: ClassVar[str] = ""

    def _message(self) -> str:
        """What went wrong and what to do, without the code."""
        return super().__str__()

    def __str__(self) -> str:
        return f"{self._message()} [{self.code}]" if self.code else self._message()


class OptionError(ReciprocamError, ValueError):
    """An option has a value it does not take."""

    def __init__(self, option: str, value: str, allowed: Sequence[str]) -> None:
        super().__init__(option, value, allowed)
        self.option, self.value, self.allowed = option, value, allowed

    def _message(self) -> str:
        return f"{self.option} does not take {self.value!r}; it takes {', '.join(self.allowed)}."


class ModelFileError(ReciprocamError):
    """A model file cannot be read as ONNX."""

    code = "RC101"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source, self.reason = source, reason

    def _message(self) -> str:
        return f"{self.source}: {self.reason}"


class MetadataError(ModelFileError):
    """A rewritten file's metadata cannot be used."""

    code = "RC102"

    def _message(self) -> str:
        return f"{self.source}: its reciprocam metadata is unusable ({self.reason}). Rewrite the original model again."


class NotRewrittenError(ReciprocamError):
    """A plain model stands where a rewritten one is needed."""

    code = "RC103"

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.source = source

    def _message(self) -> str:
        return (
            f"{self.source} is a plain model, without saliency. First: onnx-reciprocam rewrite MODEL.onnx -o OUT.onnx"
        )


class AlreadyRewrittenError(ReciprocamError):
    """A rewritten file stands where a plain model is needed."""

    code = "RC104"

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.source = source

    def _message(self) -> str:
        return (
            f"{self.source} is explained already. Get the original back: onnx-reciprocam strip OUT.onnx -o MODEL.onnx"
        )


class NodeNotFoundError(ReciprocamError, LookupError):
    """The target is not in the graph."""

    code = "RC120"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name, known)
        self.name, self.known = name, known

    def _message(self) -> str:
        close = difflib.get_close_matches(self.name, self.known, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "no name is close."
        return f"no node or tensor named {self.name!r} among {len(self.known)}; {hint} {INSPECT_HINT}"


class BypassedTargetError(ReciprocamError):
    """Part of the score does not go through the target."""

    code = "RC121"

    def __init__(self, name: str, path: Sequence[str], nearest: Sequence[str]) -> None:
        super().__init__(name, path, nearest)
        self.name, self.path, self.nearest = name, path, nearest

    def _message(self) -> str:
        shown = [*self.path[:2], "...", *self.path[-2:]] if len(self.path) > 5 else self.path
        nearest = f"Nearest targets: {', '.join(map(repr, self.nearest))}." if self.nearest else INSPECT_HINT
        return f"{self.name!r} is bypassed: the score also depends on the image through {' > '.join(shown)}. {nearest}"


class NoCellsError(ReciprocamError):
    """The target is no map of cells."""

    code = "RC122"

    def __init__(self, name: str, shape: Sequence[int | str | None], nearest: Sequence[str] = ()) -> None:
        super().__init__(name, shape, nearest)
        self.name, self.shape, self.nearest = name, shape, nearest

    def _message(self) -> str:
        shape = "x".join("?" if side is None else str(side) for side in self.shape) or "a scalar"
        nearest = f"Nearest targets: {', '.join(map(repr, self.nearest))}." if self.nearest else INSPECT_HINT
        return f"{self.name!r} ({shape}) is no feature map whose height and width are known and above 1x1. {nearest}"


class NoNormError(ReciprocamError):
    """``--vit-mask post-norm`` does not fit the target."""

    code = "RC123"

    def __init__(self, target: str, reason: str, nearest: Sequence[str]) -> None:
        super().__init__(target, reason, nearest)
        self.target, self.reason, self.nearest = target, reason, nearest

    def _message(self) -> str:
        fitting = f"Targets that it fits: {', '.join(map(repr, self.nearest))}"
        remedy = fitting if self.nearest else "It fits no target of this model: leave the option out"
        return f"--vit-mask post-norm does not fit {self.target!r}: {self.reason}. {remedy}."


class NoTargetError(ReciprocamError):
    """No tensor of the network can be explained."""

    code = "RC124"

    def __init__(self, output: str, reason: str) -> None:
        super().__init__(output, reason)
        self.output, self.reason = output, reason

    def _message(self) -> str:
        return f"no target for output {self.output!r}: {self.reason}"


class OutputError(ReciprocamError):
    """The network's output is not a vector of class scores."""

    code = "RC125"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def _message(self) -> str:
        return f"output {self.name!r}: {self.reason}"


class UnsupportedModelError(ReciprocamError):
    """The model has something that cannot be explained correctly, so it is not explained at all."""

    code = "RC110"

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy

    def _message(self) -> str:
        return f"{self.what}. {self.remedy}"


class ProbeError(ReciprocamError):
    """The model does not run, so its shapes stay unknown."""

    code = "RC130"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _message(self) -> str:
        return f"the model does not run in onnxruntime, so its shapes stay unknown: {self.reason}"


class WriteError(ReciprocamError):
    """A result cannot be written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def _message(self) -> str:
        return f"cannot write {self.path}: {self.reason}"


class ImageError(ReciprocamError):
    """A picture cannot be used."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source, self.reason = source, reason

    def _message(self) -> str:
        return f"{self.source}: {self.reason}"


class InputError(ReciprocamError, ValueError):
    """An array handed to a session does not fit the model."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def _message(self) -> str:
        return f"input {self.name!r}: {self.reason}"


class ShapeMismatchError(ReciprocamError, ValueError):
    """Two arrays that belong together have different sizes."""

    def __init__(self, what: str, got: Sequence[int], wanted: Sequence[int | str]) -> None:
        super().__init__(what, got, wanted)
        self.what, self.got, self.wanted = what, got, wanted

    def _message(self) -> str:
        return f"{self.what} has shape {tuple(self.got)}, wanted {tuple(self.wanted)}"


class MissingPackageError(ReciprocamError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package, self.extra = package, extra

    def _message(self) -> str:
        return f"this needs {self.package}. Install it: pip install 'onnx-reciprocam[{self.extra}]'"


class NotBuiltError(ReciprocamError):
    """Files are missing that a build of this package brings."""

    def __init__(self, what: str, command: str, program: str) -> None:
        super().__init__(what, command, program)
        self.what, self.command, self.program = what, command, program

    def _message(self) -> str:
        return f"{self.what} are not built. Build them (needs {self.program}): {self.command}"


class VerificationError(ReciprocamError):
    """An explained file differs from its original or from the naive explanation."""

    code = "RC140"

    exit_code = 1

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _message(self) -> str:
        return f"verification failed: {self.reason}"


class SourceError(ReciprocamError):
    """A data set cannot be used."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source, self.reason = source, reason

    def _message(self) -> str:
        return f"{self.source}: {self.reason}"


class ClusterError(ReciprocamError):
    """The machines of a Ray cluster cannot do the work."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _message(self) -> str:
        return f"the Ray cluster: {self.reason}"


class WorkerError(ReciprocamError):
    """A worker of a service cannot be kept alive, or did not end well."""

    exit_code = 1

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _message(self) -> str:
        return f"worker {self.reason}; the log of the service says more."
