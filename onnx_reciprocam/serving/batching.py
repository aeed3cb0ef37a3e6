"""Requests of the same moment in one run of the model."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx_reciprocam.serving import measures
from onnx_reciprocam.serving.logs import note
from onnx_reciprocam.serving.question import Question, joined, rows_of, together

if TYPE_CHECKING:
    from onnx_reciprocam.runtime import ExplainedSession, Explanation


@dataclass(eq=False)
class _Job:
    """A question that waits for its answer."""

    question: Question
    answer: asyncio.Future[Explanation]
    arrived: float
    started: float = 0.0
    batch: int = 0


class Batcher:
    """Runs one model, one run at a time, with as many waiting images as fit.

    Args:
        name: The model's, for the metrics.
        session: The model.
        most: Images in a run; a question with more is asked in parts. None where images must not share a run, nor a
            question be split.
        delay: Seconds that the first image of a run waits for a second one.
    """

    def __init__(self, name: str, session: ExplainedSession, most: int | None, delay: float) -> None:
        self.name, self.session, self.most, self._delay = name, session, most, delay
        self._waiting: deque[_Job] = deque()
        self._arrival = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"run {name}")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer; in a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """End, without what still waits."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown(cancel_futures=True)

    async def ask(self, question: Question) -> Explanation:
        """The answer, once its turn has come; a caller that is cancelled meanwhile is not run.

        Raises:
            InputError: The question does not fit the model.
        """
        step = self.most or len(question)
        loop = asyncio.get_running_loop()
        parts = [question.part(slice(i, i + step)) for i in range(0, len(question), step)]
        jobs = [_Job(part, loop.create_future(), time.monotonic()) for part in parts]
        self._waiting.extend(jobs)
        self._arrival.set()
        measures.WAITING.labels(self.name).inc(len(question))
        try:
            found = joined(await asyncio.gather(*(job.answer for job in jobs)))
        finally:
            measures.WAITING.labels(self.name).dec(len(question))
        waited = max(job.started - job.arrived for job in jobs)
        note(images=len(question), batch=max(job.batch for job in jobs), waited_ms=round(1000 * waited, 2))
        return found

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._arrival.clear()
                await self._arrival.wait()
            await self._linger()
            if jobs := self._take():
                await self._answer(jobs)

    async def _linger(self) -> None:
        """Wait for more images, until the first has waited its time or a run is full."""
        while (left := self._waiting[0].arrived + self._delay - time.monotonic()) > 0:
            if self.most in {None, 1} or sum(len(job.question) for job in self._waiting) >= (self.most or 1):
                return
            self._arrival.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._arrival.wait(), left)

    def _take(self) -> list[_Job]:
        """The first job that somebody still waits for, and those behind it that fit into its run."""
        taken: list[_Job] = []
        kept: deque[_Job] = deque()
        room = self.most or 0
        while self._waiting:
            job = self._waiting.popleft()
            if job.answer.done():  # its caller has given up
                continue
            if not taken or (len(job.question) <= room and job.question.fits(taken[0].question)):
                taken.append(job)
                room -= len(job.question)
            else:
                kept.append(job)
        self._waiting = kept
        return taken

    async def _answer(self, jobs: list[_Job]) -> None:
        """Run; where several together fail, each alone, so that nobody pays for another's mistake."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's answer and not this loop's end
            if len(jobs) > 1:
                for job in jobs:
                    await self._answer([job])
            elif not jobs[0].answer.done():
                jobs[0].answer.set_exception(error)
            return
        start = 0
        for job in jobs:
            stop = start + len(job.question)
            if not job.answer.done():
                job.answer.set_result(found if len(jobs) == 1 else rows_of(found, slice(start, stop)))
            start = stop

    def _run(self, jobs: list[_Job]) -> Explanation:
        """In the model's own thread."""
        question = together([job.question for job in jobs])
        for job in jobs:
            job.started, job.batch = time.monotonic(), len(question)
        found = question.ask(self.session)
        measures.ran(self.name, found)
        return found
