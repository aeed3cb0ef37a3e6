"""Packaging is in setup.cfg; this only has npm bring onnxruntime's files for the browser before they are packed.

Without npm, or where it fails, the package is built without them: `onnx-reciprocam web` then says how to make up for it.
"""

import runpy

from setuptools import setup
from setuptools.command.build_py import build_py

BUNDLE = runpy.run_path("onnx_reciprocam/web/bundle.py")


class BuildWithBundle(build_py):
    """Python files, and those for the browser."""

    def run(self) -> None:
        """Build the bundle unless it is there, then as always."""
        if not BUNDLE["is_built"]():
            try:
                BUNDLE["build"]()
            except (BUNDLE["BundleError"], OSError) as error:
                self.warn(f"built without onnxruntime's files for the browser: {error}; see docs/web.md")
        super().run()


setup(cmdclass={"build_py": BuildWithBundle})
