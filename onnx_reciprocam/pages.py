"""Pages of HTML from templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import MissingPackageError

if TYPE_CHECKING:
    from pathlib import Path


def render(template: Path, extra: str, **values: Any) -> str:
    """The page of a jinja2 template; values are escaped, and a name that the template lacks a value for is an error.

    Args:
        template: A file.
        extra: What of this package is installed to have jinja2.
        values: Of the template's names.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingPackageError("jinja2", extra) from None
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(template.read_text("utf-8")).render(values)
