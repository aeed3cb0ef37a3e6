"""The tables of rules: one operator, one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.terms import Misfit, Term

    Rule: TypeAlias = Callable[[Call], "Term | Sequence[Term] | Misfit"]

R = TypeVar("R", bound="Rule")

SPOT: dict[str, Rule] = {}
"""Rules for operators whose inputs are ``Spot`` or ``Shared``."""
TOKENS: dict[str, Rule] = {}
"""Rules for operators that have a ``Tokens`` input, or a ``Spot`` along one axis that joins them."""
WINDOW: dict[str, Rule] = {}
"""Rules for operators whose inputs are ``Window``, ``Spot`` or ``Shared``."""
STACKED: dict[str, Rule] = {}
"""Rules for operators that have a ``Stacked`` input; what is no ``Stacked`` is widened on demand."""


def carries(table: dict[str, Rule], *ops: str) -> Callable[[R], R]:
    """Register the decorated function as the rule of every operator in ``ops``.

    Raises:
        ValueError: One of them has a rule already.
    """

    def register(rule: R) -> R:
        for op in ops:
            if op in table:
                raise ValueError(f"{op} has two rules: {table[op].__name__} and {rule.__name__}")
            table[op] = rule
        return rule

    return register


def operator(node: gs.Node) -> str:
    """An operator's key: its name, after its domain if that is not ONNX's own."""
    return node.op if node.domain in {None, "", "ai.onnx"} else f"{node.domain}:{node.op}"


ELEMENTWISE = (
    *("Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd", "BitwiseNot"),
    *("BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Equal"),
    *("Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "IsInf", "IsNaN"),
    *("LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or"),
    *("PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus"),
    *("Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor"),
    *("com.microsoft:Gelu", "com.microsoft:QuickGelu"),
)
"""Operators that make every value of the result from the values at the same place, broadcasting as NumPy does."""
BIASED = ("com.microsoft:FastGelu", "com.microsoft:BiasGelu")
"""Operators that do so too, with a bias that is a vector along the last axis and nothing else."""
PASSING = ("Identity", "Dropout")
"""Operators that hand their first input on."""
NORMALISING = {
    "Softmax": -1,
    "LogSoftmax": -1,
    "Hardmax": -1,
    "LayerNormalization": -1,
    "RMSNormalization": -1,
    "LpNormalization": -1,
    "SimplifiedLayerNormalization": -1,
}
"""Operators that couple values along one axis (or from one axis on) alone; the axis they take if none is written."""
SELECTING = {"Split": 0, "Gather": 0, "TopK": -1, "ArgMax": 0, "ArgMin": 0}
"""Operators that pick along one axis."""
REDUCING = (
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
    *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
)
REGROUPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
"""Operators that change the shape and move no value."""
ROWWISE = (
    *("Conv", "ConvTranspose", "AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"),
    *("GlobalLpPool", "InstanceNormalization", "GroupNormalization", "LRN", "DepthToSpace", "SpaceToDepth"),
    *("com.microsoft:FusedConv",),
)
"""Operators that answer every entry of axis 0 of their first input by itself."""


def default_axis(op: str, opset: int) -> int:
    """The axis of a normalising or selecting operator that writes none."""
    if op in {"Softmax", "LogSoftmax", "Hardmax"} and opset < 13:
        return 1
    return {**NORMALISING, **SELECTING}[op]
