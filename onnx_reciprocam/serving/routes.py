"""The three requests that run a model over REST, in front of KServe's own on its application."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from onnx_reciprocam.serving import schema
from onnx_reciprocam.serving.pictures import drawn, look, read_wish, said
from onnx_reciprocam.serving.rejections import BadRequestError, UnknownModelError
from onnx_reciprocam.serving.wire import LENGTH_HEADER, read_request, write_response

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kserve.protocol.dataplane import DataPlane

    from onnx_reciprocam.serving.model import ServedModel

_PNG = "image/png"


@dataclass(frozen=True)
class Routes:
    """Handlers of requests.

    Args:
        dataplane: KServe's, which knows the models and times what they do.
        pool: Threads for decoding and drawing.
        max_pixels: Of all pictures of a request.
    """

    dataplane: DataPlane
    pool: Executor
    max_pixels: int

    def router(self) -> APIRouter:
        """The handlers under their addresses."""
        router = APIRouter()
        for path, handler, spoken in (
            ("/v1/models/{model_name}:predict", self.predict, schema.PREDICT),
            ("/v1/models/{model_name}:explain", self.explain, schema.EXPLAIN),
            ("/v2/models/{model_name}/infer", self.infer, schema.INFER),
        ):
            router.add_api_route(
                path, handler, methods=["POST"], response_model=None, response_class=Response, **spoken
            )
        return router

    async def predict(self, model_name: str, request: Request) -> Response:
        """Best classes of pictures."""
        return await self._look(model_name, request, explain=False)

    async def explain(self, model_name: str, request: Request) -> Response:
        """Best classes of pictures, and why: saliency maps, or the picture with a map over it as PNG."""
        return await self._look(model_name, request, explain=True)

    async def infer(self, model_name: str, request: Request) -> Response:
        """Tensors in, tensors out: the Open Inference Protocol."""
        self._model(model_name)
        body = await request.body()
        asked = await self._aside(read_request, body, request.headers.get(LENGTH_HEADER), model_name)
        response, _ = await self.dataplane.infer(model_name=model_name, request=asked, headers=dict(request.headers))
        content, headers = await self._aside(write_response, asked, response)
        return Response(content, headers=headers)

    async def _look(self, model_name: str, request: Request, *, explain: bool) -> Response:
        model, headers = self._model(model_name), dict(request.headers)
        body = await request.body()
        wish = await self._aside(read_wish, body, headers.get("content-type", ""), dict(request.query_params))
        as_png = explain and wants_png(headers.get("accept", ""))
        if as_png and (len(wish.instances) != 1 or not isinstance(wish.instances[0], bytes)):
            raise BadRequestError("an overlay is made of one picture; send one, or accept application/json.")
        question, seen = await self._aside(lambda: look(wish, model.session, self.max_pixels, explain=explain))
        verb = self.dataplane.explain if explain else self.dataplane.infer
        found, _ = await verb(model_name=model_name, request=question, headers=headers)
        if as_png:
            return Response(await self._aside(drawn, found, wish.instances[0], seen[0], wish.rank), media_type=_PNG)
        answer = await self._aside(lambda: said(found, seen, wish.top, explain=explain))
        return Response(answer, media_type="application/json")

    def _model(self, name: str) -> ServedModel:
        models = self.dataplane.model_registry.get_models()
        if name not in models:
            raise UnknownModelError(f"there is no model {name[:80]!r}; there are {', '.join(models)}.")
        model: ServedModel = models[name]
        return model

    async def _aside(self, work: Any, *arguments: Any) -> Any:
        """Work that would hold up the other requests."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work, *arguments)


def wants_png(accept: str) -> bool:
    """Whether an Accept header prefers PNG to JSON; ``*/*`` does not."""
    shares = {_PNG: 0.0, "application/json": 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        kind = _PNG if kind == "image/*" else kind
        if kind in shares:
            shares[kind] = _quality(parameters)
    return shares[_PNG] > shares["application/json"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
