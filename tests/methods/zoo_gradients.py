"""What methods other than ReciproCAM make of a network of the zoo at its automatic target, and whether it is right."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_graphsurgeon as gs
from cells_in_numpy import cells, everywhere
from image_gradients import off_along_a_random_direction
from merged_files import merged
from rewritten import run
from skeleton import image_size, load
from tail_in_doubles import Tail, with_outputs

from onnx_reciprocam.contract import ClassChoice, Normalize, RewriteOptions
from onnx_reciprocam.errors import ReciprocamError
from onnx_reciprocam.gradients import Backward, stretch
from onnx_reciprocam.graph import Branch
from onnx_reciprocam.refusals import GradientError, LinearHeadError
from onnx_reciprocam.rewriter import rewrite_with
from onnx_reciprocam.rewriter.depth import deeply
from onnx_reciprocam.rewriter.inspection import automatic
from onnx_reciprocam.rewriter.network import study

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    from onnx_reciprocam.rewriter.network import Network, Target

CLASSES, DIRECTIONS = 2, 1
"""Best classes that are explained, and random directions that each of their gradients is checked along."""
ALLOWED = 1e-4
"""Error of a derivative, as a share of the gradient's length; maps have the tolerance of "exact"."""
ORACLE = 1e-4
"""Share of the largest score by which the oracle's own, in doubles, may differ from onnxruntime's."""
ROUNDING = 1e-5
"""Of predictions, as a share of the largest: what a further reader of a tensor may change, as the runtime fuses less."""
DEAREST = 1e9
"""Multiply-adds per image above which the gradient by the image is not judged: in doubles that is minutes."""
METHODS = ("gradcam", "hirescam", "cam", "eigencam", "activation")


@dataclass(frozen=True)
class Row:
    """A network's row.

    Args:
        network, exporter: Which skeleton.
        verdict: ``right``, ``refused: ...`` or ``wrong: ...``.
        target: The automatic target.
        gradient: Largest error of a derivative along a direction, as a share of what is allowed.
        maps: The same of each method's maps; ``refused`` where the method says so.
        spread: Largest less smallest value of the GradCAM over its largest.
        image: The error of the gradient by the whole image, as a share of what single precision allows.
        predictions: Their largest difference from the plain file's, as a share of the largest score.
    """

    network: str
    exporter: str
    verdict: str = "right"
    target: str = ""
    gradient: str = ""
    maps: dict[str, str] = field(default_factory=dict)
    spread: str = ""
    image: str = ""
    predictions: str = ""

    def flat(self) -> dict[str, str]:
        """As a line of the CSV."""
        flat = {key: value for key, value in asdict(self).items() if key != "maps"}
        return flat | {method: self.maps.get(method, "") for method in METHODS}


def measure(network: str, exporter: str) -> Row:
    """Rewrite with every method, compare with finite differences, summarise."""
    row, plain = Row(network, exporter), load(network, exporter)
    try:
        known = study(plain)
        target, _ = automatic(known)
        row = replace(row, target=target.tensor.name)
        return _judged(row, known, target, plain)
    except ReciprocamError as error:
        return replace(row, verdict=f"refused: {error}")
    except Exception as error:  # noqa: BLE001 - a defect of the product is a finding, not the end of the table
        return replace(row, verdict=f"wrong: crash: {type(error).__name__}: {str(error).splitlines()[0][:200]}")


def _judged(row: Row, known: Network, target: Target, plain: onnx.ModelProto) -> Row:
    side, batch = image_size(row.network), 1 if row.exporter.endswith("1") else 2
    images = np.random.default_rng(1).standard_normal((batch, 3, side, side), np.float32)
    predictions = run(plain, images)[known.scores.output.name]
    ids = np.argsort(-predictions, axis=1, kind="stable")[:, :CLASSES]
    tail = Tail(plain, target.tensor.name, known.scores.logits.name, images)
    parts = {method: model for method in METHODS if (model := _rewritten(known, target, method)) is not None}
    seeds, differentiated = with_gradients(known, target, ids)
    found = run(with_outputs(merged(plain, parts | {"g": differentiated}), tail.wanted), images, seeds)
    tail = replace(tail, read={name: found[name] for name in tail.wanted})
    row = replace(row, predictions=_number(_off(found[known.scores.output.name], predictions)))
    if tail.rounding > ORACLE:
        return replace(row, verdict=f"unjudged: the oracle's own scores differ by {tail.rounding:.1e}")
    view = View(target, tail, found["g:gradients"].astype(np.float64), ids)
    worst = off_along_random_directions(tail, view.g, ids)
    row = replace(row, gradient=_number(worst))
    if worst > 1:
        return replace(row, verdict="wrong: gradient")
    row = _maps(row, view, {method: found[f"{method}:saliency"] for method in parts})
    if float(row.predictions) > ROUNDING:
        row = replace(row, verdict="wrong: predictions")
    return _image(row, known, plain, images[:1], int(ids[0, 0]))


def _image(row: Row, known: Network, plain: onnx.ModelProto, image: NDArray[np.float32], c: int) -> Row:
    if known.cost / known.batch > DEAREST:
        return row
    try:
        off = off_along_a_random_direction(known, plain, image, c)
    except GradientError as error:
        return replace(row, image=f"refused: {error}")
    return replace(row, image=_number(off), verdict=row.verdict if off <= 1 else "wrong: gradient by the image")


def _off(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@dataclass(frozen=True, eq=False)
class View:
    """All that a network's maps are judged by.

    Args:
        target: The automatic target.
        tail: What lies behind.
        g: The gradient, judged already, ``[*target, K]``.
        ids: The explained classes, ``[B, K]``.
    """

    target: Target
    tail: Tail
    g: NDArray[np.float64]
    ids: NDArray[np.int64]

    def cells(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """``[B, C, N]``, or ``[B, C, N, K]``, of what has the target's layout."""
        return cells(np.asarray(values, np.float64), self.target.layout)

    def wanted(self, method: str) -> NDArray[np.float64]:
        """``[B, K, N]`` by the method's formula."""
        a, g = self.cells(self.tail.given[self.tail.target]), self.cells(self.g)
        if method == "gradcam":
            return np.maximum(np.einsum("bck,bcn->bkn", g.mean(axis=2), a), 0)
        products = np.einsum("bcnk,bcn->bkn", g, a)
        if method == "hirescam":
            return np.where(products > 1e-5 * self.sizes, products, 0)
        if method == "cam":
            return np.asarray(products * a.shape[2])
        one = np.stack([principal(image) for image in a]) if method == "eigencam" else a.mean(axis=1)
        return np.repeat(one[:, None], CLASSES, axis=1)

    @cached_property
    def sizes(self) -> NDArray[np.float64]:
        """``sum_k |g_k A_k|``, ``[B, K, N]``: ahead of a norm the sum itself is next to nothing."""
        a, g = self.cells(self.tail.given[self.tail.target]), self.cells(self.g)
        return np.asarray(np.einsum("bcnk,bcn->bkn", np.abs(g), np.abs(a)))


def with_gradients(
    known: Network, target: Target, ids: NDArray[np.int64]
) -> tuple[NDArray[np.float32], onnx.ModelProto]:
    """What the file is given beside images, and the file with output ``gradients``, ``[*target, K]``."""
    seeds = np.zeros((len(ids), known.scores.classes, ids.shape[1]), np.float32)
    np.put_along_axis(seeds, ids[:, None], 1, axis=1)
    with deeply():
        branch, logits = Branch(known.model), known.scores.logits
        given = branch.input(gs.Variable("seeds", np.float32, ["images", *seeds.shape[1:]]))
        shaped = branch.reshape(given, [*branch.sizes(logits, known.shapes.static(logits.name)), -1])
        tail = stretch(known.model, known.shapes, target.tensor, logits, known.image_names)
        first = branch.sizes(known.model.tensors[known.image.name], known.image.shape)[0]
        found = Backward(tail).emit(branch, shaped, first)
        made = gs.Variable("gradients", np.float32, None)
        branch.nodes.append(gs.Node("Identity", branch.name("gradients"), {}, [found], [made]))
        return seeds, known.model.appended(branch.export([given], [made]), {})


def off_along_random_directions(tail: Tail, g: NDArray[np.float64], ids: NDArray[np.int64]) -> float:
    """The largest error as a share of what is allowed."""
    random, worst = np.random.default_rng(2), 0.0
    axes = tuple(range(1, g.ndim - 1))
    for _ in range(DIRECTIONS):
        direction = random.standard_normal(g.shape[:-1])
        wanted = np.take_along_axis(tail.along(direction), ids, axis=1)  # [B, K]
        found = (g * direction[..., None]).sum(axis=axes)
        length = np.sqrt((g**2).sum(axis=axes))
        worst = max(worst, float((np.abs(found - wanted) / (ALLOWED * length)).max()))
    return worst


def _maps(row: Row, view: View, found: Mapping[str, NDArray[np.float32]]) -> Row:
    errors, spread = dict.fromkeys(METHODS, "refused"), ""
    for method, values in found.items():
        wanted = view.wanted(method)
        maps = values.reshape(wanted.shape).astype(np.float64)
        error = _error(maps, wanted, 1e-5 * float(view.sizes.max()) if method == "hirescam" else 0)
        if method == "gradcam":
            spread = _number(float(np.ptp(maps) / max(maps.max(), 1e-30)))
            error = max(error, _error_at_the_brightest(view, maps))
        errors[method] = _number(error)
        if error > 1:
            row = replace(row, verdict=f"wrong: {method}")
    return replace(row, maps=errors, spread=spread)


def _rewritten(known: Network, target: Target, method: str) -> onnx.ModelProto | None:
    """None where CAM is refused."""
    choice = RewriteOptions(
        method=method, target=target.tensor.name, classes=ClassChoice("top", CLASSES), normalize=Normalize.NONE
    )
    try:
        return rewrite_with(known, None, choice).model
    except LinearHeadError:
        return None


def _error(maps: NDArray[np.float64], wanted: NDArray[np.float64], more: float = 0) -> float:
    spread = float(np.mean(np.ptp(wanted, axis=2)))
    return float(np.abs(maps - wanted).max() / (1e-4 * spread + 1e-5 * float(np.abs(wanted).max()) + more + 1e-30))


def _error_at_the_brightest(view: View, maps: NDArray[np.float64]) -> float:
    """A GradCAM at cell n is what the score gains as every cell gets a little of cell n's vector, over the cells."""
    values = view.tail.given[view.tail.target]
    a, best = view.cells(values), maps[:, 0]
    places = best.argmax(axis=1)[:, None]
    vectors = np.take_along_axis(a, places[:, None], axis=2)[:, :, 0]  # [B, C]
    gained = view.tail.along(everywhere(vectors, view.target.layout, values.shape))
    wanted = np.maximum(np.take_along_axis(gained, view.ids[:, :1], axis=1) / a.shape[2], 0)
    found = np.take_along_axis(best, places, axis=1)
    allowed = 1e-4 * float(np.mean(np.ptp(best, axis=1))) + 1e-5 * float(best.max()) + 1e-30
    return float(np.abs(found - wanted).max() / allowed)


def principal(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[C, N]`` -> ``[N]``: the first principal component, towards the mean activation."""
    centred = a - a.mean(axis=1, keepdims=True)
    _, _, right = np.linalg.svd(centred.T, full_matrices=False)
    out = centred.T @ right[0]
    return np.asarray(out if (out * a.mean(axis=0)).sum() > 0 else -out)


def _number(value: float) -> str:
    return f"{value:.2g}"
