from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from served import Visit, serving
from tiny_networks import Tiny

import onnx_reciprocam as rc
from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.web import bundle, write_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CAMERAS = "--use-fake-device-for-media-stream=device-count={}"
TINY = Preprocessing(size=(6, 8), crop=None)
LABELS = ("ant", "bee", "cat", "dog", "eel")


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Path]:
    """Writes an explained file of a few hundred weights: options of the network by name, those of `rewrite` in `how`."""

    def write(how: dict[str, Any] | None = None, **network: Any) -> Path:
        path = tmp_path / "tiny.explained.onnx"
        rc.rewrite(Tiny(**network).build(), path, **{"preprocessing": TINY, "labels": LABELS} | (how or {}))
        return path

    return write


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for onnxruntime's files with none in it."""
    folder = tmp_path / "bundle"
    monkeypatch.setattr(bundle, "FOLDER", folder)
    return folder


@pytest.fixture
def built(unbuilt: Path) -> Path:
    """Stand-ins for onnxruntime's files, which a page needs and the command only copies."""
    unbuilt.mkdir()
    for name in bundle.BUILT:
        (unbuilt / name).write_text(name)
    (unbuilt / bundle.VERSION).write_text(bundle._wanted())  # noqa: SLF001 - what a build writes
    return unbuilt


@pytest.fixture(scope="session")
def runtime() -> None:
    """onnxruntime's real files."""
    if not bundle.is_built():
        bundle.build()


@pytest.fixture
def launched(chromium: Callable[..., Any]) -> Callable[..., Any]:
    """Starts Chromium with so many cameras that show a test picture."""

    def launch(cameras: int = 2) -> Any:
        return chromium(CAMERAS.format(cameras), "--host-resolver-rules=MAP insecure.test 127.0.0.1")

    return launch


@pytest.fixture
def visit(launched: Callable[..., Any], runtime: None) -> Iterator[Callable[..., Visit]]:  # noqa: ARG001 - what pages need
    """Opens the page of a folder; none may ask elsewhere, nor have an error that the test does not expect."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def opened(
            folder: Path,
            *,
            headers: dict[str, str] | None = None,
            cameras: int = 2,
            host: str = "127.0.0.1",
            **how: Any,
        ) -> Visit:
            address = stack.enter_context(serving(folder, headers)).replace("127.0.0.1", host)
            # Without it playwright cannot wait for a condition: the page's own policy forbids eval.
            context = stack.enter_context(launched(cameras).new_context(bypass_csp=True, **how))
            visits.append(Visit(context.new_page(), address))
            return visits[-1]

        yield opened
    for each in visits:
        assert each.foreign() == []
        assert each.wrong == []


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of scikit-image's photos."""
    import skimage.data

    return Path(skimage.data.data_dir)


@pytest.fixture(scope="session")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """EfficientNet-Lite0 with ImageNet's weights, explained for such classes; each kind once."""
    from onnx_reciprocam.models import EFFICIENTNET_LITE0_PREPROCESSING, efficientnet_lite0, imagenet_labels

    folder = tmp_path_factory.mktemp("lite0")

    def explained(classes: str) -> Path:
        path = folder / f"{classes.replace(':', '')}.explained.onnx"
        if not path.exists():
            told = {"preprocessing": EFFICIENTNET_LITE0_PREPROCESSING, "labels": imagenet_labels()}
            rc.rewrite(efficientnet_lite0(), path, classes=classes, **told)
        return path

    return explained


@pytest.fixture(scope="session")
def site(lite0: Callable[[str], Path], runtime: None) -> Callable[[str], Path]:  # noqa: ARG001 - what pages need
    """The page of :func:`lite0`; each kind once."""

    def written(classes: str) -> Path:
        path = lite0(classes)
        folder = path.with_suffix("")
        if not folder.exists():
            write_site(path, folder)
        return folder

    return written


@pytest.fixture
def page(tiny: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """The page of a tiny network; options as those of ``tiny``."""

    def write(how: dict[str, Any] | None = None, title: str | None = None, **network: Any) -> Path:
        write_site(tiny(how, **network), tmp_path / "page", title=title)
        return tmp_path / "page"

    return write
