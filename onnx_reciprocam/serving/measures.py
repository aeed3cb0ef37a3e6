"""What Prometheus reads at ``/metrics``, beside the histograms that KServe keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from onnx_reciprocam.serving import totals

if TYPE_CHECKING:
    from onnx_reciprocam.runtime import Explanation

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter, which no dashboard reads
if totals.is_part():
    totals.count_as_part()

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter(
    "reciprocam_requests", "Requests by model, protocol, verb and status.", ("model", "protocol", "verb", "code")
)
LATENCY = Histogram(
    "reciprocam_request_seconds", "From the head of a request to its answer.", ("model", "verb"), buckets=_SECONDS
)
RUN = Histogram("reciprocam_run_seconds", "One run of a model.", ("model",), buckets=_SECONDS)
BATCH = Histogram("reciprocam_batch_size", "Images in one run.", ("model",), buckets=(1, 2, 4, 8, 16, 32, 64, 128))
MAPS = Counter("reciprocam_maps", "Saliency maps made.", ("model",))
FLAT = Counter("reciprocam_flat_maps", "Saliency maps whose cells are all the same: they say nothing.", ("model",))
WAITING = Gauge(
    "reciprocam_waiting_images", "Images that wait for a run or are in one.", ("model",), multiprocess_mode="livesum"
)
BUSY = Gauge("reciprocam_busy_requests", "Requests that hold a place of the queue.", multiprocess_mode="livesum")
REFUSED = Counter("reciprocam_refused", "Requests refused before their model was asked, by status.", ("code",))


def begin(model: str) -> None:
    """Let the model's metrics exist before its first request: a rate needs a zero to rise from."""
    for metric in (RUN, BATCH, MAPS, FLAT, WAITING):
        metric.labels(model)


def ran(model: str, found: Explanation) -> None:
    """Count one run."""
    RUN.labels(model).observe(found.seconds)
    BATCH.labels(model).observe(len(found.predictions))
    maps = found.saliency
    if maps.size:
        MAPS.labels(model).inc(maps.shape[0] * maps.shape[1])
        FLAT.labels(model).inc(int((maps.max((2, 3)) == maps.min((2, 3))).sum()))


def answered(model: str, protocol: str, verb: str, code: str, seconds: float) -> None:
    """Count one request to a model that exists."""
    REQUESTS.labels(model, protocol, verb, code).inc()
    LATENCY.labels(model, verb).observe(seconds)
