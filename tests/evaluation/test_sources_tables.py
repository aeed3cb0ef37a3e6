"""CSVs of pictures."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_pictures import boxes, file_names, put, puts

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.sample import Sample
from onnx_reciprocam.evaluation.sources import read_source

if TYPE_CHECKING:
    from onnx_reciprocam.evaluation.boxes import Box


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    puts(tmp_path, "a.png", "sub/b.jpg", "m/a.png")
    return tmp_path


def table(folder: Path, text: str) -> Path:
    (path := folder / "data.csv").write_bytes(text.encode())
    return path


def test_every_column(folder: Path) -> None:
    path = table(folder, 'mask,path,other,label,box\nm/a.png,a.png,?,Tabby_Cat,"1,2,3,4; 5,6,7.5,8;"\n,sub/b.jpg,,7,\n')
    first = Sample(folder / "a.png", 1, ((1, 2, 3, 4), (5, 6, 7.5, 8)), folder / "m/a.png")
    assert read_source(path, labels=["dog", "tabby cat"], classes=9) == [first, Sample(folder / "sub/b.jpg", 7)]


def test_a_column_per_corner(folder: Path) -> None:
    path = table(folder, "path,left,top,right,bottom\na.png,1,2,3,4\nsub/b.jpg,,,,\n")
    assert read_source(path) == [Sample(folder / "a.png", None, ((1, 2, 3, 4),)), Sample(folder / "sub/b.jpg")]


def test_bytes_that_excel_writes(folder: Path) -> None:
    path = table(folder, '\ufeff Path ,LABEL\r\nsub\\b.jpg,2\r\n\r\n"a.png",1.0\r\n,\r\n')
    assert read_source(path) == [Sample(folder / "a.png", 1), Sample(folder / "sub\\b.jpg".replace("\\", "/"), 2)]


def test_a_table_of_a_named_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = table(tmp_path_factory.mktemp("elsewhere"), "path\na.png\n")
    assert read_source(folder, annotations=path) == [Sample(folder / "a.png")]


def test_one_picture_of_two_classes(folder: Path) -> None:
    path = table(folder, "path,label\na.png,3\na.png,1\n")
    assert [sample.label for sample in read_source(path)] == [1, 3]


def test_boxes_are_cut_at_the_border(folder: Path) -> None:
    path = table(folder, 'path,box\na.png,"-3,-0.5,64.2,99"\n')
    assert read_source(path)[0].boxes == ((0, 0, 64, 48),)


def test_boxes_are_of_the_upright_picture(folder: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "turned.jpg", exif=exif)  # larger than what is read of it at first
    Image.fromarray(pixels).save(folder / "turned.webp", exif=exif, lossless=True)
    path = table(folder, 'path,box\nturned.jpg,"0,0,999,999"\nturned.webp,"0,0,999,999"\n')
    assert [sample.boxes for sample in read_source(path)] == [((0, 0, 300, 400),)] * 2


def test_a_size_that_stands_late_in_the_file(folder: Path) -> None:
    data = put(folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(data[:2] + (b"\xff\xfe\xff\xff" + bytes(65533)) * 2 + data[2:])
    path = table(folder, 'path,box\na.jpg,"0,0,999,999"\n')
    assert read_source(path)[0].boxes == ((0, 0, 64, 48),)


ROWS = {
    "gone.png,,": "line 2: no picture 'gone.png' in '.*'; correct the path, or remove the line",
    ",3,": "line 2: the picture's path is empty",
    "a.png,cat,": "line 2: none of the 2 labels is 'cat'; correct the name, or write the class number",
    "a.png,dogg,": r"did you mean 'dog'\?",
    "a.png,2,": "line 2: class 2 is not among the network's 2, 0 to 1",
    "a.png,-1,": "none of the 2 labels is '-1'",
    "a.png,1.5,": r"none of the 2 labels is '1\.5'",
    'a.png,,"1,2,3"': "line 2: '1,2,3' is no box; a box is \"left,top,right,bottom\" in quotes",
    'a.png,,"1,2,3,x"': "'1,2,3,x' is no box",
    'a.png,,"1,2,nan,4"': r"a.png: box 1,2,nan,4 is not finite",
    'a.png,,"3,2,3,4"': r"a.png: box 3,2,3,4 is empty: right has to exceed left, and bottom top",
    'a.png,,"1,4,3,2"': "box 1,4,3,2 is empty",
    'a.png,,"64,0,70,9"': "box 64,0,70,9 is outside of the 64x48 picture",
    "a.png,,1,2,3,4": 'line 2: 6 fields for 3 columns; a box is "left,top,right,bottom" in quotes',
    "a.png,1,\n./a.png,1,": "line 3: './a.png' is in line 2 with the same label; put its boxes into one row",
    'a.png,1,"': "it is no CSV .*; save it as CSV with commas",
    "x" * 9999 + ".png,1,": "no picture 'xxx",
    "a\0.png,1,": "no picture|line contains NUL",
}


@pytest.mark.parametrize(("row", "words"), ROWS.items(), ids=[row[:20] for row in ROWS])
def test_rows_that_cannot_be_used(folder: Path, row: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        read_source(table(folder, f"path,label,box\n{row}\n"), labels=["dog", "horse"])
    assert str(caught.value).startswith(str(folder / "data.csv"))
    assert "\n" not in str(caught.value)


HEADERS = {
    "": "its first line names no column 'path'; begin with a header such as path,label,box",
    "a.png,3": "no column 'path'",
    "path;label": "no column 'path'",
    "path,path": "two columns are called 'path'",
    "path,labels": "column 'labels' is not known; did you mean 'label'",
    "path,boxes": "did you mean 'box'",
    "path,left,top": "either one column 'box', or four",
    "path,box,left,top,right,bottom": "either one column 'box', or four",
    "path,label": "it names no picture; add a line per picture",
}


@pytest.mark.parametrize(("header", "words"), HEADERS.items(), ids=HEADERS)
def test_headers_that_cannot_be_used(folder: Path, header: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read_source(table(folder, header))


def test_a_mask_that_is_not_there(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"line 2: no mask 'm/b.png' in"):
        read_source(table(folder, "path,mask\na.png,m/b.png\n"))
    with pytest.raises(SourceError, match=r"line 2: mask 'sub/b.jpg' is no .png; convert it"):
        read_source(table(folder, "path,mask\na.png,sub/b.jpg\n"))


def test_a_name_without_labels(folder: Path) -> None:
    with pytest.raises(SourceError, match="'cat' is a class name, but the network's are not known; give --labels FILE"):
        read_source(table(folder, "path,label\na.png,cat\n"))


def test_a_picture_that_is_none(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"text")
    path = table(folder, 'path,box\na.png,"1,2,3,4"\n')
    (sample,) = read_source(path)
    assert (sample.boxes, sample.problem) == ((), "not a JPEG, PNG or WebP picture")


def test_bytes_that_are_no_text(folder: Path) -> None:
    (path := folder / "data.csv").write_bytes("path\na.png".encode("utf-16"))
    with pytest.raises(SourceError, match="it is not in UTF-8; save it as CSV UTF-8"):
        read_source(path)


def test_a_folder_called_like_a_table_is_a_folder(tmp_path: Path) -> None:
    picture = put(tmp_path / "data.csv" / "a.png")
    assert read_source(tmp_path / "data.csv") == [Sample(picture)]


rows = st.tuples(st.none() | st.integers(0, 999), st.lists(boxes(), max_size=3).map(tuple), st.booleans())


@given(
    rows=st.dictionaries(file_names, rows, min_size=1, max_size=4),
    ends=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["utf-8", "utf-8-sig"]),
)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_what_is_written_is_read_back(
    rows: dict[str, tuple[int | None, tuple[Box, ...], bool]], ends: str, mark: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mask = put(folder / "mask.png")
        samples = [
            Sample(put(folder / path), label, found, mask if masked else None)
            for path, (label, found, masked) in rows.items()
        ]
        with (folder / "data.csv").open("w", encoding=mark, newline="") as file:
            writer = csv.writer(file, lineterminator=ends)
            writer.writerow(["path", "label", "box", "mask"])
            for sample in samples:
                spelled = ";".join(",".join(map(str, box)) for box in sample.boxes)
                writer.writerow([sample.path.name, sample.label, spelled, sample.mask and sample.mask.name])
        assert read_source(folder / "data.csv") == sorted(samples, key=lambda sample: sample.path)
