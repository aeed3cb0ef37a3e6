"""One explained file as a model of KServe's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kserve import InferRequest, Model

from onnx_reciprocam.serving import measures
from onnx_reciprocam.serving.batching import Batcher
from onnx_reciprocam.serving.loading import images_per_run, open_model
from onnx_reciprocam.serving.question import Question, joined
from onnx_reciprocam.serving.tensors import describe, question_of, response_of

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from kserve import InferResponse

    from onnx_reciprocam.runtime import Explanation
    from onnx_reciprocam.serving.settings import Settings


class ServedModel(Model):
    """Answers questions of both protocols through one batcher.

    Args:
        name: As in the address of a request.
        path: The explained file.
        settings: The service's.
        pool: Threads for what takes the processor outside the model.

    Attributes:
        session: The model itself.
        most: Images in one run, None where a request is run just as it came.
        why: Why that is not what the settings say; empty where it is.

    Raises:
        ReciprocamError: The file cannot be served.
    """

    def __init__(self, name: str, path: Path, settings: Settings, pool: Executor) -> None:
        super().__init__(name)
        self.session = open_model(path, settings.cores)
        self.most, self.why = images_per_run(self.session, settings.max_batch)
        self._delay, self._pool = settings.max_delay_ms / 1000, pool
        self._batcher: Batcher | None = None
        measures.begin(name)
        self.ready = True

    def open(self) -> None:
        """Begin to answer; in a running event loop."""
        self._batcher = Batcher(self.name, self.session, self.most, self._delay)
        self._batcher.start()

    async def close(self) -> None:
        """End, without what still waits."""
        self.ready = False
        if self._batcher is not None:
            await self._batcher.stop()

    async def predict(
        self,
        payload: InferRequest | Question,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
        response_headers: dict[str, str] | None = None,  # noqa: ARG002
    ) -> InferResponse | Explanation:
        """The answer to a question; to tensors, in tensors."""
        if not isinstance(payload, InferRequest):
            return await self.explain(payload)
        loop = asyncio.get_running_loop()
        question = await loop.run_in_executor(self._pool, question_of, payload, self.session)
        return response_of(payload, await self._answer(question), self.session)

    async def explain(self, payload: Question, headers: dict[str, str] | None = None) -> Explanation:  # noqa: ARG002
        """The answer to a question about pictures, of which none may bear on another's."""
        if self.most is not None:
            return await self._answer(payload)
        return joined([await self._answer(payload.part(slice(i, i + 1))) for i in range(len(payload))])

    def get_input_types(self) -> list[dict[str, Any]]:
        """Of the file, the switch of a ``--toggle`` file among them."""
        session = self.session.session
        return describe([*session.get_inputs(), *session.get_overridable_initializers()])

    def get_output_types(self) -> list[dict[str, Any]]:
        """Of the file."""
        return describe(self.session.session.get_outputs())

    async def _answer(self, question: Question) -> Explanation:
        if self._batcher is None:
            raise RuntimeError("the model is not open")
        return await self._batcher.ask(question)
