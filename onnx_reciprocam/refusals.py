"""Why a model is refused, where one word says it: kinds of the more general errors, with codes of their own."""

from __future__ import annotations

from onnx_reciprocam.errors import ProbeError, UnsupportedModelError


class OldOpsetError(UnsupportedModelError):
    """The model is written in an opset that is too old."""

    code = "RC111"


class BlockedChannelsError(UnsupportedModelError):
    """onnxruntime's optimisation has put the channels of the model in blocks."""

    code = "RC112"


class SubgraphError(UnsupportedModelError):
    """Masked values are read inside an ``If``, ``Loop`` or ``Scan``."""

    code = "RC113"


class LocalFunctionError(UnsupportedModelError):
    """A local function hides what is needed."""

    code = "RC114"


class NoTensorError(UnsupportedModelError):
    """An input or a masked value is a sequence, a map or an optional."""

    code = "RC115"


class RandomError(UnsupportedModelError):
    """Masked values go through an operator that draws random numbers."""

    code = "RC116"


class UnknownOperatorError(ProbeError):
    """The model has an operator that onnxruntime does not know."""

    code = "RC131"

    def _message(self) -> str:
        return (
            f"the model has an operator that onnxruntime does not know: {self.reason}. Build it of ONNX's own operators, or"
            " add it to the file as a local function"
        )


class GradientError(UnsupportedModelError):
    """A gradient is needed that cannot be taken."""

    code = "RC117"

    def __init__(self, what: str, remedy: str = "Choose a method without gradients: onnx-reciprocam methods") -> None:
        super().__init__(what, remedy)


class LinearHeadError(UnsupportedModelError):
    """CAM is asked for where there is no mean over cells with nothing but linear layers behind it."""

    code = "RC118"

    def __init__(self, what: str, remedy: str = "Use --method reciprocam, which is CAM where CAM exists") -> None:
        super().__init__(f"CAM needs a mean over cells and linear layers behind the target, and {what}", remedy)
