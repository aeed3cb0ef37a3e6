"""Predict and explain a picture with a file that `onnx-reciprocam rewrite` wrote, and nothing else of it installed.

pip install numpy onnxruntime opencv-python-headless
python explain.py explained.onnx photo.jpg heat.png
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

IMAGENET = {
    "size": None, "crop": 0.875, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    "scale": 1 / 255, "color": "rgb", "layout": None,
}  # fmt: skip


def seen_part(picture: np.ndarray, how: dict, size: tuple[int, int]) -> np.ndarray:
    """What the network sees: the centre of the picture once its shorter side fits, or the whole picture stretched."""
    height, width = size
    if how["crop"] is None:
        return resized(picture, height, width)
    scale = max(int(side / how["crop"]) / length for side, length in zip(size, picture.shape[:2], strict=True))
    tall, wide = (int(length * scale + 1e-6) for length in picture.shape[:2])
    top, left = round((tall - height) / 2), round((wide - width) / 2)
    return resized(picture, tall, wide)[top : top + height, left : left + width]


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Shrink by averaging, then enlarge what is too small."""
    smaller = (min(width, picture.shape[1]), min(height, picture.shape[0]))
    return cv2.resize(cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA), (width, height))


def tensor(picture: np.ndarray, how: dict, nchw: bool) -> np.ndarray:
    """The network's input, ``(pixel * scale - mean) / std``, with an axis for the batch in front."""
    if how["color"] == "gray":
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None]
    elif how["color"] == "rgb":
        picture = picture[..., ::-1]
    scaled = (picture * np.float32(how["scale"]) - np.float32(how["mean"])) / np.float32(how["std"])
    return (scaled.transpose(2, 0, 1) if nchw else scaled)[None].astype(np.float32)


def probabilities(scores: np.ndarray, activation: str) -> np.ndarray:
    """Of one image's scores; the file says what made them."""
    if activation in {"softmax", "sigmoid"}:
        return scores
    if len(scores) == 1:
        return 1 / (1 + np.exp(-scores))
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()


def main(model: str, photo: str, heat: str) -> None:
    """Print the top classes and the map's cells of ``photo``, and draw the map into ``heat``."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    # 1. What the file says of itself: real names of inputs and outputs, preprocessing, labels.
    told = session.get_modelmeta().custom_metadata_map
    inputs, outputs = json.loads(told["reciprocam.inputs"]), json.loads(told["reciprocam.outputs"])
    how = IMAGENET | json.loads(told.get("reciprocam.preprocessing", "{}"))
    labels = json.loads(told.get("reciprocam.labels", "[]"))

    # 2. The picture as the input.
    shape = next(node.shape for node in session.get_inputs() if node.name == inputs["image"])
    nchw = how["layout"] == "nchw" or (how["layout"] is None and shape[1] in (1, 3))
    declared = shape[2:] if nchw else shape[1:3]
    size = tuple(how["size"] or (side if isinstance(side, int) else 224 for side in declared))
    seen = seen_part(cv2.imread(photo), how, size)

    # 3. One run: scores, maps [B, K, H, W] and, unless every class has a map, the class of each map [B, K].
    names = [outputs["score"], outputs["saliency"], *filter(None, [outputs.get("saliency_classes")])]
    scores, maps, *classes = session.run(names, {inputs["image"]: tensor(seen, how, nchw)})

    shares = probabilities(scores[0], told.get("reciprocam.activation", "none"))
    for index in np.argsort(-shares, kind="stable")[:3]:
        print(f"{labels[index] if labels else index}\t{shares[index]:.4f}")
    explained = int(classes[0][0, 0]) if classes else int(shares.argmax())
    cells = maps[0, 0] if classes else maps[0, explained]
    print(f"map of {labels[explained] if labels else explained}, {cells.shape[0]}x{cells.shape[1]}:")
    for row in cells:
        print(" ".join(f"{value:.3f}" for value in row))

    # 4. The map over what the network saw.
    spread = np.float32(cells - cells.min()) / max(float(np.ptp(cells)), 1e-9)
    warm = cv2.applyColorMap(
        cv2.resize(np.uint8(255 * spread), size[::-1], interpolation=cv2.INTER_CUBIC), cv2.COLORMAP_TURBO
    )
    cv2.imwrite(heat, cv2.addWeighted(seen, 0.5, warm, 0.5, 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
