"""Calls that ask for what is not there, each answered by a line that names what is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command_line import CommandLine

REWRITE = "rewrite plain.onnx -o out.onnx "
EXPLAIN = "explain plain.onnx photo.png -o out "

CALLS = {
    "": r"no command\. Try: onnx-reciprocam --help",
    "explian": r"No such command 'explian'.*explain",
    "--loud": r"No such option.*--loud",
    "rewrite": r"Missing argument 'MODEL'\. Try: onnx-reciprocam rewrite --help",
    "rewrite plain.onnx": r"Missing option '--out'",
    "explain plain.onnx -o out": r"Missing argument 'IMAGE",
    "verify explained.onnx": r"Missing option '--against'",
    REWRITE + "--targt fc": r"No such option.*--targt.*--target",
    "strip explained.onnx -o out.onnx --mask pixel": r"No such option.*--mask",
    # targets and outputs
    REWRITE + "--target lost": r"no node or tensor named 'lost' among \d+; did you mean 'last'",
    REWRITE + "--target zzz": r"'zzz'.*no name is close\. List candidates: onnx-reciprocam inspect",
    REWRITE + "--target flat": r"'flat' \(\?x4\) is no feature map.*Nearest targets: 'last'",
    REWRITE + "--target image": r"'image' \(\?x3x16x16\) is no feature map.*Nearest targets: 'stem'",
    REWRITE + "--target branch": r"'branch' is bypassed: .*first\.out > add\.out.*Nearest targets: 'first', 'add'",
    EXPLAIN + "--target lost": r"did you mean 'last'",
    REWRITE + "--output logit": r"output 'logit': there is none; the outputs are 'logits'",
    REWRITE + "--output features": r"output 'features': its shape is \S+; class scores \[B, classes\] are needed",
    "inspect plain.onnx --output logit": r"the outputs are 'logits'",
    EXPLAIN + "--output features": r"class scores \[B, classes\] are needed",
    # words
    **{
        f"{command}--{option} purple": rf"{option}.*purple.*{word}"
        for command in (REWRITE, EXPLAIN)
        for option, word in {
            "method": "reciprocam", "mask": "pixel", "score": "logit", "classes": "top:K", "color": "bgr",
            "layout": "nhwc",
        }.items()
    },
    REWRITE + "--normalize purple": r"normalize.*purple.*minmax",
    REWRITE + "--upsample purple": r"upsample.*purple.*input",
    # classes
    **{REWRITE + f"--classes {k}": rf"--classes does not take '{k}'.*K at least 1" for k in ("top:0", "top:x", "top:-1")},
    REWRITE + "--classes top:99999": r"--classes.*top:99999.*5",
    EXPLAIN + "--classes top:99999": r"--classes.*top:99999.*5",
    EXPLAIN + "--class-id 99999": r"--class-id does not take '99999'; it takes a class number from 0 to 4",
    EXPLAIN + "--class-id -1": r"--class-id.*greater than or equal to 0|--class-id.*x>=0",
    EXPLAIN + "--class-id one": r"--class-id",
    "explain asked.onnx photo.png -o out --class-id 5": r"--class-id does not take '5'",
    "explain explained.onnx photo.png -o out --class-id 0": r"this file explains classes 'predicted'",
    "explain explained.onnx photo.png -o out --mask gaussian": r"--mask.*gaussian.*explained already",
    # numbers
    **{
        f"{command}{option}": rf"{option.split()[0]} does not take"
        for command in (REWRITE, EXPLAIN)
        for option in (
            "--size x", "--size 0", "--size 16x", "--size 16x16x16", "--size -3", "--mean a,b,c", "--mean 1,2", "--mean ,",
            "--std 0", "--std nan", "--crop 0", "--crop 1.1", "--crop nan", "--crop most", "--scale 1/0", "--scale big",
        )
    },
    "inspect plain.onnx --size 0": r"--size does not take",
    **{
        f"verify explained.onnx --against plain.onnx --batches {sizes}": r"--batches does not take"
        for sizes in ("0", "1,", "two", "-1", "1.5")
    },
    "verify explained.onnx --against plain.onnx --cells 0": r"--cells.*greater than or equal to 1|--cells.*x>=1",
    # labels
    **{
        command + "--labels gone.txt": r"--labels does not take 'gone.txt'; it takes a text file"
        for command in (REWRITE, EXPLAIN)
    },
    REWRITE + "--labels random.onnx": r"--labels does not take 'random.onnx'",
    **{
        f"{command}--labels {name}.txt": rf"{count} names for 5 classes"
        for command in (REWRITE, EXPLAIN)
        for name, count in {"few": 4, "many": 6}.items()
    },
}  # fmt: skip


@pytest.mark.parametrize(("call", "words"), CALLS.items(), ids=[call or "nothing" for call in CALLS])
def test_a_bad_call(cli: CommandLine, call: str, words: str) -> None:
    message = cli.fails(*call.split())
    assert re.search(words, message), message
