"""The plugin's package, found in a checkout as it is in an installation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "plugins" / "onnx_playout"))
