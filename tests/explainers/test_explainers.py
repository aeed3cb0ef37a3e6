"""Any method by its name: the same call, the same kind of answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto
from tiny_networks import CLASSES, Tiny, assemble, make

import onnx_reciprocam as rc
from onnx_reciprocam import visualise
from onnx_reciprocam.contract import Score
from onnx_reciprocam.errors import InputError, NoTargetError, OptionError
from onnx_reciprocam.explainers import BlackBoxSession
from onnx_reciprocam.methods import BlackBox, InGraph, Needs, methods
from onnx_reciprocam.rewriter.network import study

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SPLICED = [name for name, kind in methods().items() if issubclass(kind, InGraph)]
BOXES = [name for name, kind in methods().items() if issubclass(kind, BlackBox)]
FEW = {name: {"samples": 24} for name, kind in methods().items() if issubclass(kind, BlackBox) and kind.samples}
FEW |= {"extremal": {"samples": 4}, "kernelshap": {"samples": 128}}
BATCH = np.random.default_rng(3).standard_normal((2, 3, 18, 24)).astype(np.float32)


def tiny(**how: Any) -> onnx.ModelProto:
    return Tiny(size=(18, 24), **how).build()


def without_cells() -> onnx.ModelProto:
    """Scores that are sums over the pixels themselves."""
    weights = {"fc": np.random.default_rng(0).standard_normal((CLASSES, 3 * 18 * 24)).astype(np.float32) / 20}
    nodes = [make("Flatten", ["image"], ["flat"], "flat"), make("Gemm", ["flat", "fc"], ["scores"], "fc", transB=1)]
    return assemble(nodes, weights, {"image": ["b", 3, 18, 24]}, {"scores": ["b", CLASSES]})


def plain_scores(model: onnx.ModelProto, batch: NDArray[Any]) -> NDArray[Any]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["scores"], {"image": batch})[0])


@pytest.mark.parametrize("method", methods())
def test_every_method_answers_alike(method: str) -> None:
    model = tiny()
    result = rc.explainer(model, method, classes="top:2", **FEW.get(method, {}))(BATCH)
    np.testing.assert_allclose(result.predictions, plain_scores(model, BATCH), rtol=1e-5)
    best = np.argsort(-result.predictions, axis=1)[:, :2]
    np.testing.assert_array_equal(result.classes, best)
    assert result.saliency.shape[:2] == (2, 2)
    assert result.saliency.dtype == np.float32
    assert (result.saliency.min(), result.saliency.max()) == (0, 1)
    assert (result.method, list(result.outputs)) == (method, ["scores"])
    assert result.seconds > 0
    assert (result.inferences == 1) == (method in SPLICED)
    assert (result.seed is None) != getattr(methods()[method], "drawn", False)


@pytest.mark.parametrize("method", BOXES)
def test_a_fixed_batch_gives_the_maps_of_an_open_one(method: str) -> None:
    how = {"classes": "all", **FEW.get(method, {})}
    wanted = rc.explainer(tiny(), method, **how)(BATCH)
    for batch in (1, 2):
        session = rc.explainer(tiny(batch=batch), method, **how)
        found = np.concatenate([session(BATCH[i : i + batch]).saliency for i in range(0, 2, batch)])
        np.testing.assert_allclose(found, wanted.saliency, atol=1e-4)


@pytest.mark.parametrize("method", ["scorecam", "rise", "extremal"])
def test_channels_last_gives_the_maps_of_channels_first(method: str) -> None:
    model = tiny(channels_last=True)
    session = rc.explainer(model, method, **FEW.get(method, {}))
    result = session(BATCH.transpose(0, 2, 3, 1))
    asked = Reference(model)
    kind = methods()[method]
    assert issubclass(kind, BlackBox)
    box = kind(FEW.get(method, {}).get("samples"))
    maps = box.explain(asked.problem(BATCH[0], result.classes[0], kind.score))
    np.testing.assert_allclose(
        result.saliency[0, 0], visualise.rescale(maps.values[0]), atol=1e-3 if method == "extremal" else 1e-4
    )


class Reference:
    """A network asked by hand, one image at a time, gradients by finite differences."""

    def __init__(self, model: onnx.ModelProto) -> None:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        copy.graph.output.append(onnx.helper.make_tensor_value_info("map", TensorProto.FLOAT, None))
        self.session = ort.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])

    def ask(self, image: NDArray[Any], name: str) -> NDArray[Any]:
        return np.asarray(self.session.run([name], {"image": image.transpose(1, 2, 0)[None].astype(np.float32)})[0][0])

    def scores(self, images: NDArray[Any], score: Score) -> NDArray[Any]:
        logits = np.stack([self.ask(image, "scores") for image in images])
        raised = np.exp(logits - logits.max(1, keepdims=True))
        return logits if score is Score.LOGIT else raised / raised.sum(1, keepdims=True)

    def gradient(self, images: NDArray[Any], weights: NDArray[Any], score: Score) -> NDArray[Any]:
        result = np.zeros_like(images, np.float64)
        for place in np.ndindex(*images.shape):
            ends = []
            for step in (1e-2, -1e-2):
                moved = images[place[0]].copy()
                moved[place[1:]] += step
                ends.append(self.scores(moved[None], score)[0] @ weights[place[0]])
            result[place] = (ends[0] - ends[1]) / 2e-2
        return result.astype(np.float32)

    def problem(self, image: NDArray[Any], classes: NDArray[Any], score: Score) -> Any:
        from onnx_reciprocam.methods.black_box import Problem

        return Problem(
            image=image,
            picture=np.zeros((*image.shape[1:], 3), np.uint8),
            classes=classes,
            score=lambda images: self.scores(images, score),
            features=lambda one: self.ask(one, "map"),
            gradient=lambda images, weights: self.gradient(images, weights, score),
            baseline=np.zeros(3, np.float32),
        )


def test_a_second_input_is_handed_to_every_run() -> None:
    model = tiny(vector=True)
    vectors = np.array([[0.5, -1], [2, 0]], np.float32)
    session = rc.explainer(model, "occlusion")
    both = session(BATCH, vector=vectors)
    for i in range(2):
        alone = session(BATCH[i : i + 1], vector=vectors[i : i + 1])
        np.testing.assert_allclose(both.saliency[i], alone.saliency[0], atol=1e-4)
    with pytest.raises(InputError, match="'vector': is missing"):
        session(BATCH)


def test_a_picture_keeps_what_the_network_saw(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    session = rc.explainer(tiny(), "occlusion", labels=[f"name {i}" for i in range(CLASSES)])
    result = session.explain_image(picture)
    assert result.overlay().shape == picture.shape
    assert result.top(1)[0].label.startswith("name")
    assert result.save(tmp_path / "map.png").is_file()


def test_without_cells_the_default_gives_way_and_says_so() -> None:
    with pytest.warns(UserWarning, match="reciprocam cannot explain this model.*occlusion does") as said:
        session = rc.explainer(without_cells())
    assert len(said) == 1
    assert isinstance(session, BlackBoxSession)
    assert session(BATCH).method == "occlusion"


def test_a_method_that_is_named_never_gives_way() -> None:
    with pytest.raises(NoTargetError):
        rc.explainer(without_cells(), "reciprocam")
    with pytest.raises(NoTargetError):
        rc.explainer(without_cells(), "scorecam")


@pytest.mark.parametrize("method", [name for name in BOXES if Needs.CELLS not in methods()[name].needs])
def test_black_boxes_need_no_cells(method: str) -> None:
    result = rc.explainer(without_cells(), method, **FEW.get(method, {}))(BATCH[:1])
    assert result.saliency.shape == (1, 1, 18, 24)


def test_a_studied_network_serves_several_methods() -> None:
    network = study(tiny())
    for method in ("reciprocam", "gradcam", "occlusion"):
        np.testing.assert_array_equal(
            rc.explainer(network, method)(BATCH).saliency, rc.explainer(tiny(), method)(BATCH).saliency
        )


def test_classes_that_the_caller_names() -> None:
    session = rc.explainer(tiny(), "occlusion", classes="input", normalize="none")
    every = rc.explainer(tiny(), "occlusion", classes="all", normalize="none")(BATCH)
    result = session(BATCH, class_ids=[[4, 0], [1, 1]])
    np.testing.assert_array_equal(result.saliency[0], every.saliency[0, [4, 0]])
    np.testing.assert_array_equal(result.saliency[1], every.saliency[1, [1, 1]])
    for ids in ([[5]], [0, 1], None):
        with pytest.raises(InputError, match="class_ids"):
            session(BATCH, class_ids=ids)


@pytest.mark.parametrize(
    ("method", "how", "words"),
    [
        ("rise", {"samples": 0}, "--samples does not take '0'"),
        ("occlusion", {"samples": 5}, "nothing with --method occlusion"),
        ("gradcam", {"seed": 1}, "--seed does not take '1'.*draws no samples"),
        ("rise", {"target": "relu1"}, "needs no target"),
        ("rise", {"mask": "gaussian"}, "--mask does not take 'gaussian'"),
        ("gradcam", {"mask": "gaussian"}, "only reciprocam masks cells"),
        ("rise", {"classes": "top:9"}, "at most top:5"),
        ("ris", {}, "--method does not take 'ris'; it takes reciprocam"),
    ],
)
def test_options_that_mean_nothing_to_a_method(method: str, how: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        rc.explainer(tiny(), method, **how)


def test_a_black_box_is_never_written_into_a_file() -> None:
    with pytest.raises(OptionError, match="rise runs around the session: onnx-reciprocam explain"):
        rc.rewrite(tiny(), method="rise")


def test_integer_images_have_no_gradient() -> None:
    model = tiny()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node.insert(0, make("Cast", ["image"], ["pixels"], "cast", to=TensorProto.FLOAT))
    model.graph.node[1].input[0] = "pixels"
    assert rc.explainer(model, "occlusion")(np.full((1, 3, 18, 24), 7)).saliency.shape == (1, 1, 18, 24)
    with pytest.raises(rc.ReciprocamError, match="'image' takes whole numbers"):
        rc.explainer(model, "extremal")
