"""``python -m onnx_reciprocam.web``: build what an install without npm lacks."""

import sys

from onnx_reciprocam.web.bundle import main

sys.exit(main())
