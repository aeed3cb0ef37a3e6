"""A data set explained as a stream of Arrow record batches."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.dataset.opening import opened
from onnx_reciprocam.dataset.parts import cut
from onnx_reciprocam.dataset.pipeline import explain_parts
from onnx_reciprocam.dataset.rows import arrow, record_batch
from onnx_reciprocam.dataset.sources import Source

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from onnx_reciprocam.contract import Preprocessing
    from onnx_reciprocam.dataset.recipe import Prepare


def explain_dataset(
    model: str | os.PathLike[str],
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    rows: int = 64,
    class_ids: Sequence[int] = (),
    preprocessing: Preprocessing | Prepare | None = None,
    labels: Sequence[str] = (),
    providers: Sequence[str] = (),
    batch_size: int | None = None,
    threads: int | None = None,
    tell: Callable[[str], object] = warnings.warn,
    **options: Any,
) -> Iterator[Any]:
    """Explain every picture of a data set, and keep nothing.

    >>> for batch in rc.explain_dataset("resnet50.explained.onnx", "photos/"):  # doctest: +SKIP
    ...     batch.select(["path", "top_labels", "map"]).to_pandas()

    Args:
        model: Path of an explained file, or of a plain model.
        source: Folders, globs, lists (.txt, .csv), shards (.tar, .parquet), or URLs of these; one or several.
        rows: Of each record batch but the last.
        class_ids: The classes to explain, for files rewritten with ``--classes input`` and for plain models.
        preprocessing: How pictures become the input; None for what the file says, ImageNet's where it says nothing; or a
            function of what the file says, None where that is nothing.
        labels: Class names in order; none for what the file says.
        providers: onnxruntime's execution providers by name; none for the CPU.
        batch_size: Pictures per run; measured if None.
        threads: Runs at once; one per core if None.
        tell: Told in a sentence when another method is taken than the default, or another provider than wanted.
        options: For plain models, as :func:`~onnx_reciprocam.explainer` takes them.

    Yields:
        ``pyarrow.RecordBatch``, a row per picture in the source's order; for the columns see
        :func:`~onnx_reciprocam.dataset.rows.schema`. A picture that cannot be explained is a row with ``error``.

    Raises:
        SourceError: The source cannot be read.
        ReciprocamError: The model cannot be read, explained or run.
    """
    arrow()
    pictures = Source.of(source)
    with opened(
        model,
        class_ids=class_ids,
        preprocessing=preprocessing,
        labels=labels,
        providers=providers,
        batch_size=batch_size,
        threads=threads,
        folder=None,
        tell=tell,
        options=options,
    ) as ready:
        parts = cut(pictures.items(), rows)
        for _, found in explain_parts(ready.worker, parts, ready.batch_size, ready.threads, lambda _rows: None):
            yield record_batch(found, ready.cells, ready.constants)
