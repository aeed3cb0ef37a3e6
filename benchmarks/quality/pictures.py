"""Make the benchmark's pictures from what packages carry: cut-outs on photos, with masks, and whole photos.

    python -m benchmarks.quality.pictures            # into ~/.cache/onnx-reciprocam-quality
    python -m benchmarks.quality.pictures --copies 3 --seed 1 --cache elsewhere

Writes ``pictures.csv`` (path, label, mask, set) and the same rows by set: ``single.csv``, ``pair.csv``, ``photo.csv``.
Paths are relative to these files' folder. The same packages, seed and copies make the same pictures, pixel for pixel.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .accuracy import SETS, classifier, ranking
from .compose import HALVES, WHOLE, Stamp, decode_background, paste
from .packages import CACHE, MissingFileError, fetch_from_debian, fetch_from_pypi, member, members
from .rcc import read_resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

HERE = Path(__file__).parent
SINGLE_SHARE = (0.35, 0.60)
PAIR_SHARE = (0.30, 0.45)
GCOMPRIS_PREFIX = "gcompris/src/activities/"
COLUMNS = ("path", "label", "mask", "set")
Row = tuple[str, int, str, str]


class Background(NamedTuple):
    """A landscape, ``[320, 320, 3]``, and the first five of what EfficientNet-Lite0 sees in it."""

    pixels: NDArray[np.uint8]
    classes: frozenset[int]


def stamps(cache: Path) -> list[Stamp]:
    """The cut-outs of ``stamps.csv``."""
    folder = fetch_from_debian("tuxpaint-stamps-default", cache) / "usr/share/tuxpaint/stamps"
    return [
        Stamp.decode(Path(row["file"]).stem, int(row["label"]), (folder / row["file"]).read_bytes())
        for row in _table("stamps.csv")
    ]


def backgrounds(cache: Path) -> list[Background]:
    """The squares of ``backgrounds.csv``.

    Raises:
        MissingFileError: This version of GCompris lacks one of the photos.
    """
    folder = fetch_from_debian("gcompris-qt-data", cache) / "usr/share/gcompris-qt/rcc"
    judge = classifier("efficientnet-lite0", cache)
    found, opened = [], {}
    for row in _table("backgrounds.csv"):
        if row["resources"] not in opened:
            opened[row["resources"]] = dict(read_resources((folder / row["resources"]).read_bytes()))
        if (photo := opened[row["resources"]].get(GCOMPRIS_PREFIX + row["file"])) is None:
            raise MissingFileError(f"{row['resources']} has no {row['file']}; the table is for GCompris 3.1")
        pixels = decode_background(photo, int(row["left"]), int(row["top"]), int(row["side"]))
        seen = ranking(judge, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))
        found.append(Background(pixels, frozenset(seen[:5].tolist())))
    return found


def write_singles(cache: Path, scenes: list[Background], copies: int, seed: int) -> Iterator[Row]:
    """One cut-out per picture."""
    for index, stamp in enumerate(stamps(cache)):
        for copy in range(copies):
            random = np.random.default_rng([seed, 0, index, copy])
            picture, mask = paste(_scene(scenes, {stamp.label}, random), stamp, WHOLE, SINGLE_SHARE, random)
            name = f"single/{stamp.name}-{copy}"
            yield _save(cache, f"{name}.png", picture), stamp.label, _save(cache, f"{name}-mask.png", mask), "single"


def write_pairs(cache: Path, scenes: list[Background], copies: int, seed: int) -> Iterator[Row]:
    """Two cut-outs of different classes per picture, and a row for each; every cut-out is in ``copies`` pictures."""
    all_stamps = stamps(cache)
    for copy in range(copies):
        random = np.random.default_rng([seed, 1, copy])
        for first, second in _couples(all_stamps, random):
            boxes = HALVES[random.integers(2)]
            scene = _scene(scenes, {first.label, second.label}, random)
            picture, mask = paste(scene, first, boxes[0], PAIR_SHARE, random)
            picture, other_mask = paste(picture, second, boxes[1], PAIR_SHARE, random)
            name = f"pair/{first.name}-{second.name}-{copy}"
            path = _save(cache, f"{name}.png", picture)
            yield path, first.label, _save(cache, f"{name}-mask0.png", mask), "pair"
            yield path, second.label, _save(cache, f"{name}-mask1.png", other_mask), "pair"


def write_photos(cache: Path) -> Iterator[Row]:
    """Photos with a class and without a mask: 20 of ImageNet from foolbox, 4 cats from alibi."""
    photos = members(fetch_from_pypi("foolbox==3.3.4", cache), ".jpg")
    cats = member(fetch_from_pypi("alibi==0.9.4", cache), "cats.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(cats)) as archive:
        for each in sorted(archive.getmembers(), key=lambda found: found.name):
            if file := archive.extractfile(each):
                photos[each.name] = file.read()
    for path, data in photos.items():
        # foolbox/data/imagenet_00_243.jpg and n02123045_281_tabby_cat.jpg carry the class after an underscore.
        if numbered := re.search(r"imagenet_\d+_(\d+)|n\d+_(\d+)_", path):
            name = f"photo/{Path(path).name}"
            _write(cache / name, data)
            yield name, int(numbered[1] or numbered[2]), "", "photo"


def _couples(all_stamps: list[Stamp], random: np.random.Generator) -> list[tuple[Stamp, Stamp]]:
    """Every cut-out once, in couples of different classes."""
    while True:
        order = random.permutation(len(all_stamps)).tolist()
        couples = [(all_stamps[a], all_stamps[b]) for a, b in zip(order[::2], order[1::2], strict=False)]
        if all(first.label != second.label for first, second in couples):
            return couples


def _scene(scenes: list[Background], labels: set[int], random: np.random.Generator) -> NDArray[np.uint8]:
    """A background in which the network sees none of the labels."""
    fitting = [scene for scene in scenes if not labels & scene.classes]
    return fitting[random.integers(len(fitting))].pixels


def _table(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _save(cache: Path, name: str, pixels: NDArray[np.uint8]) -> str:
    _write(cache / name, cv2.imencode(".png", pixels)[1].tobytes())
    return name


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def main() -> None:
    """Write all sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    parser.add_argument("--copies", type=int, default=1, metavar="N", help="of each cut-out, in both sets; default: 1")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    asked = parser.parse_args()
    scenes = backgrounds(asked.cache)
    rows = [
        *write_singles(asked.cache, scenes, asked.copies, asked.seed),
        *write_pairs(asked.cache, scenes, asked.copies, asked.seed),
        *write_photos(asked.cache),
    ]
    for name in ("pictures", *SETS):
        with (asked.cache / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(row for row in rows if name in {"pictures", row[3]})
    print(*(f"{sum(row[3] == each for row in rows)} rows of {each}" for each in SETS), sep=", ")


if __name__ == "__main__":
    main()
