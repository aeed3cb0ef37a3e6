"""The least service there can be: FastAPI around one onnxruntime session, a picture in, classes (and a map) out.

    python benchmarks/serving/bare.py MODEL PORT THREADS

No limits, no keys, no metrics, no log, no batching. It decodes and prepares as ``onnx-reciprocam serve`` does.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.runtime.images import read_image
from onnx_reciprocam.runtime.model_input import ModelInput
from onnx_reciprocam.runtime.preprocess import prepare, settle
from onnx_reciprocam.runtime.scores import probabilities


def application(path: str, threads: int) -> FastAPI:
    """One route."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    image = ModelInput.of(session.get_inputs()[0])
    settled = settle(Preprocessing(), image)
    app = FastAPI()

    def look(body: bytes) -> bytes:
        batch, _ = prepare(read_image(body), settled)
        outputs = session.run(None, {image.name: batch})
        scores = probabilities(outputs[0][0], "none")
        best = np.argsort(-scores, kind="stable")[:5]
        answer = {"classes": [{"class_id": int(i), "score": float(scores[i])} for i in best]}
        if len(outputs) > 1:
            answer["saliency"] = outputs[1][0]
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    @app.post("/")
    async def answer(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        return Response(await run_in_threadpool(look, await request.body()), media_type="application/json")

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[1], int(sys.argv[3])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning"
    )
