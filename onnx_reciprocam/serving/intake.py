"""How much a service takes on at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnx_reciprocam.serving import measures
from onnx_reciprocam.serving.rejections import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx_reciprocam.serving.settings import Settings


class Intake:
    """A bounded queue, and a bound on the bytes of requests that are on their way in.

    Attributes:
        draining: The service has been told to stop.
    """

    def __init__(self, settings: Settings) -> None:
        self._places, self._room = settings.max_queue, settings.max_queue * settings.max_body
        self._busy = self._held = 0
        self.draining = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """One place of the queue.

        Raises:
            OverloadedError: There is none.
        """
        if self._busy >= self._places:
            raise OverloadedError(f"all {self._places} places of the queue are taken; try again.")
        self._busy += 1
        measures.BUSY.set(self._busy)
        try:
            yield
        finally:
            self._busy -= 1
            measures.BUSY.set(self._busy)

    def hold(self, count: int) -> None:
        """Bytes that have arrived.

        Raises:
            OverloadedError: Too many are held already.
        """
        if self._held + count > self._room:
            raise OverloadedError("too many requests are on their way in; try again.")
        self._held += count

    def release(self, count: int) -> None:
        """Bytes that are held no longer."""
        self._held -= count
