"""The naive explanation of real networks equals CAM, as the algebra of a pool and a linear layer says."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import skeleton
from onnx import numpy_helper

from onnx_reciprocam.contract import Contract
from onnx_reciprocam.verification.loading import Model
from onnx_reciprocam.verification.naive import Naive
from onnx_reciprocam.verification.running import Runtime, quiet_options


def contract_of(target: str, image: str, score: str) -> Contract:
    return Contract(
        target=target,
        method="reciprocam",
        mask="pixel",
        score="logit",
        classes="all",
        normalize="none",
        upsample="none",
        activation="none",
        layout="b c h w",
        grid=(None, None),
        outputs={"score": score, "saliency": "saliency"},
        inputs={"image": image},
        namespace="rc/",
        source_sha256="",
    )


def cam(model: onnx.ModelProto, target: str, feeds: dict[str, Any]) -> np.ndarray[Any, Any]:
    """``b_c + A_c(n) / HW``, ``[B, classes, N]``, from the last linear layer's own weights."""
    gemm = next(node for node in reversed(model.graph.node) if node.op_type == "Gemm")
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    weight, bias = (numpy_helper.to_array(weights[name]).astype(np.float64) for name in gemm.input[1:])
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(onnx.ValueInfoProto(name=target))
    (features,) = ort.InferenceSession(shown.SerializeToString(), quiet_options()).run([target], feeds)
    cells = features.reshape(*features.shape[:2], -1)
    maps: np.ndarray[Any, Any] = np.einsum("kc,bcn->bkn", weight, cells) / cells.shape[2] + bias[:, None]
    return maps


@pytest.mark.slow
@pytest.mark.parametrize("exporter", ["ts1", "tsn", "dynamo1", "dynamon"])
@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "regnet_y_400mf"])
def test_the_naive_explanation_of_a_pooled_network_is_cam(network: str, exporter: str) -> None:
    model = skeleton.load(network, exporter)
    pool = next(node for node in reversed(model.graph.node) if node.op_type in {"GlobalAveragePool", "ReduceMean"})
    image, score = model.graph.input[0].name, model.graph.output[0].name
    side, batch = skeleton.image_size(network), 2 if exporter.endswith("n") else 1
    feeds = {image: np.random.default_rng(0).standard_normal((batch, 3, side, side)).astype(np.float32)}
    contract = contract_of(pool.input[0], image, score)
    naive = Naive(Model.load(model, network), contract, Runtime(["CPUExecutionProvider"], quiet_options))
    features = naive.features(feeds)
    height, width = naive.grid(feeds, features)
    classes = np.tile(np.arange(1000), (batch, 1))
    found = naive.maps(feeds, features, classes, np.arange(height * width))
    spread = np.ptp(found.scores, axis=-1).mean()
    tolerance = 1e-4 * spread + 1e-5 * found.peak.max()
    np.testing.assert_allclose(found.scores, cam(model, pool.input[0], feeds), rtol=0, atol=tolerance)
