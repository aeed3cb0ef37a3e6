"""Minutes at saturation: errors, and what memory does.

    python benchmarks/serving/soak.py --minutes 10                       # soak.csv, a row per half a minute

One service of one network of the zoo, more connections than places in a run, pictures in, classes and maps out. Exits
with 1 where an answer was missing or no 200, or where the process grew by more than --most-growth from the second row on;
the first is for what every service allocates once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from load import load
from servers import served
from throughput import photo

import onnx_reciprocam as rc
from onnx_reciprocam.runtime.atomic import write_atomically

HERE = Path(__file__).parent


def main() -> None:
    """Load, measure, write as it goes."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "tests" / "zoo")]
    from networks import about_this_machine, as_csv
    from skeleton import load as network

    given = arguments()
    about, rows = about_this_machine(), list[dict[str, str]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body, file = folder / "picture.jpg", folder / "soaked.onnx"
        body.write_bytes(photo())
        rc.rewrite(network(given.network, "dynamon"), file)
        with served(file, folder, os.cpu_count() or 1) as server:
            steps = max(2, round(given.minutes * 60 / given.step))
            for number in range(steps):
                found = load(
                    server.urls["explain"],
                    body,
                    folder / "post.lua",
                    connections=given.connections,
                    seconds=given.step,
                )
                rows.append(
                    about
                    | {
                        "load_average": f"{os.getloadavg()[0]:.1f}",
                        "model": given.network,
                        "connections": str(given.connections),
                        "second": f"{(number + 1) * given.step:g}",
                        "requests_per_second": f"{found.rate:.2f}",
                        "p50_ms": f"{found.p50:.1f}",
                        "p99_ms": f"{found.p99:.1f}",
                        "errors": str(found.refused + found.broken),
                        "rss_mb": f"{server.resident_mb():.1f}",
                    }
                )
                print({key: rows[-1][key] for key in ("second", "requests_per_second", "errors", "rss_mb")}, flush=True)
                write_atomically(given.out, as_csv(rows))
    errors = sum(int(row["errors"]) for row in rows)
    growth = float(rows[-1]["rss_mb"]) / float(rows[min(1, len(rows) - 2)]["rss_mb"]) - 1
    print(f"{errors} errors, memory {growth:+.1%} since the second row")
    sys.exit(errors > 0 or growth > given.most_growth)


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--step", type=float, default=30, help="seconds of a row (default: %(default)s)")
    parser.add_argument("--network", default="mobilenet_v2", help="of the zoo, as dynamo exports it")
    parser.add_argument("--connections", type=int, default=32, help="that send at once (default: %(default)s)")
    parser.add_argument("--most-growth", type=float, default=0.02, help="share of memory (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE / "soak.csv", help="the CSV; replaced if it is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
