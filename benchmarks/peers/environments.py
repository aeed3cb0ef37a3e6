"""Make the peers' virtual environments from scratch.

    python -m benchmarks.peers.environments                 # both, into benchmarks/peers/.venv
    python -m benchmarks.peers.environments grad_cam        # one of them

OpenVINO 2024.4 and numpy 1 have wheels up to Python 3.12; the pinned versions want 3.11 or later.
"""

from __future__ import annotations

import argparse
import subprocess
import venv
from pathlib import Path

HERE = Path(__file__).parent
DEFAULT = HERE / ".venv"
REQUIREMENTS = HERE / "requirements"
PEERS = ("openvino_xai", "grad_cam")


def main() -> None:
    """Install what ``requirements/`` pins."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", nargs="*", metavar="PEER", help=f"both if none is named: {', '.join(PEERS)}")
    parser.add_argument("--into", type=Path, default=DEFAULT, help="default: %(default)s")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.peer) - set(PEERS)):
        parser.error(f"there is no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    for peer in arguments.peer or PEERS:
        install(peer, arguments.into)


def install(peer: str, into: Path) -> None:
    """Replace the peer's environment by a new one."""
    venv.create(into / peer, clear=True, with_pip=True)
    command = [str(interpreter(peer, into)), "-m", "pip", "install", "-r", str(REQUIREMENTS / f"{peer}.txt")]
    subprocess.run(command, check=True)  # noqa: S603 - pip, and a file of ours


def interpreter(peer: str, folder: Path) -> Path:
    """The Python of the peer's environment, whether it is there or not."""
    posix = folder / peer / "bin" / "python"
    return posix if posix.exists() else folder / peer / "Scripts" / "python.exe"


if __name__ == "__main__":
    main()
