"""wrk, and what it measured."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT = """
local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*all")
wrk.headers["Content-Type"] = "image/jpeg"
file:close()
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("FOUND %d %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""

_FOUND = re.compile(r"FOUND (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)")


class Load(NamedTuple):
    """Requests per second, milliseconds that half and 99 in 100 took at most, answers that were no 200, and no answers."""

    rate: float
    p50: float
    p99: float
    refused: int
    broken: int


def load(url: str, body: Path, script: Path, *, connections: int, seconds: float) -> Load:
    """POST ``body`` to ``url`` over so many connections, each sending its next request once it has its answer."""
    if shutil.which("wrk") is None:
        sys.exit("this needs wrk: apt-get install wrk")
    script.write_text(_SCRIPT.format(body=body))
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "60s",
        "-s",
        str(script),
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - wrk
    if not (found := _FOUND.search(done.stdout)):
        sys.exit(f"wrk said: {done.stdout}{done.stderr}")
    requests, microseconds, p50, p99, refused, broken = map(int, found.groups())
    good = requests - refused
    if not good:
        sys.exit(f"no answer in {seconds:g} s; give each way more --seconds on this machine")
    return Load(good / (microseconds / 1e6), p50 / 1000, p99 / 1000, refused, broken)
