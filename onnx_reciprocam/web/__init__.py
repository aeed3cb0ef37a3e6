"""A page that runs an explained file in the browser: a folder of static files, no server behind it."""

from onnx_reciprocam.web.site import Site, write_site

__all__ = ["Site", "write_site"]
