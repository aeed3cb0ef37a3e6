"""What maps cost on this machine: plain against explained, and methods against each other, in one run."""

from onnx_reciprocam.benchmark.bench import bench
from onnx_reciprocam.benchmark.methods import MethodTime, compare

__all__ = ["MethodTime", "bench", "compare"]
