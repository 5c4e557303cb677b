"""A program of the folder ``benchmarks``, to call its parts."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType


def benchmark_program(name: str) -> ModuleType:
    """The module ``name`` of the folder; it finds the modules beside it as when it is run."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    try:
        return import_module(name)
    finally:
        del sys.path[0]
