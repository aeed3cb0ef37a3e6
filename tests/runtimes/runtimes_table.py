"""Run every file in every runtime, and write ``docs/runtimes.csv`` and the table of ``docs/runtimes.md``.

By hand, a quarter of an hour; needs Node.js and ``npm ci --ignore-scripts`` in this folder::

    python tests/runtimes/runtimes_table.py             # measure, write both
    python tests/runtimes/runtimes_table.py --render    # the table once more from the CSV, after limits.py got other words
"""

from __future__ import annotations

import csv
import importlib.metadata
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("rewriter", "zoo")]

from comparison import NODE, RUNTIMES
from explained_files import LARGE_FILES, TINY_FILES, ExplainedFile
from limits import LIMITS, Limit, limit_of
from node_runtimes import version
from outcomes import judge

REPOSITORY = Path(__file__).parents[2]
CSV = REPOSITORY / "docs" / "runtimes.csv"
DOCUMENT = REPOSITORY / "docs" / "runtimes.md"
START, END = "<!-- written by python tests/runtimes/runtimes_table.py -->\n", "<!-- end of what it wrote -->\n"
PACKAGES = {"ReferenceEvaluator": "onnx", "OpenVINO": "openvino", "cv2.dnn": "opencv-python-headless"}
LONGEST = 400
"""Characters of a reason that are worth keeping."""


@dataclass(frozen=True)
class Row:
    """One file in one runtime: an ``Outcome`` as text."""

    network: str
    option: str
    runtime: str
    version: str
    error: str
    allowed: str
    reason: str

    @property
    def file(self) -> ExplainedFile:
        """What was run."""
        return ExplainedFile(self.network, self.option)


def measure() -> list[Row]:
    """Every file in every runtime."""
    rows = []
    versions = {
        name: version(name) if name in NODE else importlib.metadata.version(PACKAGES[name]) for name in RUNTIMES
    }
    for file in (*TINY_FILES, *LARGE_FILES):
        for name, runtime in RUNTIMES.items():
            found = judge(runtime, file)
            numbers = (f"{found.error:.1e}", f"{found.allowed:.1e}")
            rows.append(Row(file.network, file.option, name, versions[name], *numbers, found.reason[:LONGEST]))
            print(*asdict(rows[-1]).values(), sep=" | ", flush=True)  # noqa: T201 - progress of a script
    return rows


def read() -> list[Row]:
    """What was measured last."""
    with CSV.open(newline="") as file:
        return [Row(**row) for row in csv.DictReader(file)]


def write(rows: list[Row]) -> None:
    """Keep what was measured."""
    with CSV.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        table.writeheader()
        table.writerows(map(asdict, rows))


def rendered(rows: list[Row]) -> str:
    """Markdown: a row per file, a column per runtime, and what the numbers in brackets mean."""
    heads = {row.runtime: f"{row.runtime} {row.version}" for row in rows}
    lines = ["| network | option | " + " | ".join(heads.values()) + " |", "|---" * (2 + len(heads)) + "|"]
    by_file: dict[ExplainedFile, dict[str, str]] = {}
    for row in rows:
        by_file.setdefault(row.file, {})[row.runtime] = _cell(row)
    for file, cells in by_file.items():
        lines.append(f"| {file.network} | {file.option} | " + " | ".join(cells[name] for name in heads) + " |")
    notes = [f"{i}. {limit.runtime}: {limit.why}{_neither(limit)}." for i, limit in enumerate(LIMITS, 1)]
    return "\n".join([*lines, "", *notes]) + "\n"


def _cell(row: Row) -> str:
    if not row.reason:
        return row.error
    limit = limit_of(row.runtime, row.file)
    return "unexpected" if limit is None else f"no [{LIMITS.index(limit) + 1}]"


def _neither(limit: Limit) -> str:
    return "; the original does not run either" if limit.plain else ""


def document(rows: list[Row]) -> str:
    """The page with the table put in."""
    before, _, rest = DOCUMENT.read_text().partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{rendered(rows)}\n{END}{after}"


def main(arguments: list[str]) -> None:
    """Measure unless asked not to, and write."""
    if "--render" not in arguments:
        write(measure())
    DOCUMENT.write_text(document(read()))
    for runtime in NODE.values():
        runtime.close()


if __name__ == "__main__":
    main(sys.argv[1:])
