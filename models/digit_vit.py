"""A small vision transformer that finds a handwritten digit among pieces of others; ``training/`` made it."""

from __future__ import annotations

from pathlib import Path

from onnx_reciprocam.contract import Preprocessing

DIGIT_VIT = Path(__file__).with_name("digit_vit.onnx")
DIGIT_VIT_LABELS = tuple("0123456789")
DIGIT_VIT_PREPROCESSING = Preprocessing(size=(56, 80), crop=None, mean=(0.1307,), std=(0.3081,), color="gray")
