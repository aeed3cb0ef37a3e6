"""Real classifiers to try explanations on, without a training framework; ``README.md`` says where each comes from."""

from .checkpoint import read_legacy_checkpoint
from .efficientnet_lite import EFFICIENTNET_LITE0_PREPROCESSING, efficientnet_lite0, imagenet_labels
from .packages import PACKAGES, PackagedModel, fetch

__all__ = [
    "EFFICIENTNET_LITE0_PREPROCESSING",
    "PACKAGES",
    "PackagedModel",
    "efficientnet_lite0",
    "fetch",
    "imagenet_labels",
    "read_legacy_checkpoint",
]
