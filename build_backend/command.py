"""The setuptools command that makes the one extension module."""

import os
import platform
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

from setuptools import Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

from build_backend.binding import MODULE_NAME, write_c_source
from build_backend.errors import BuildError
from build_backend.libopus import obtain_libopus
from build_backend.toolchain import check_compiler

__all__ = ["STABLE_ABI", "BuildOpus", "opus_extension"]

STABLE_ABI: Final = not sysconfig.get_config_var("Py_GIL_DISABLED")
"""Free-threaded Pythons have no stable ABI yet."""


def opus_extension() -> Extension:
    """The extension as setuptools plans it; sources and libraries appear when it is built."""
    macros = [("Py_LIMITED_API", "0x030B0000")] if STABLE_ABI else []
    return Extension(MODULE_NAME, sources=[], py_limited_api=STABLE_ABI, define_macros=list(macros))


class BuildOpus(build_ext):
    """Obtain libopus, generate the binding, compile both into one module."""

    def build_extension(self, ext: Extension) -> None:
        if ext.name != MODULE_NAME:
            super().build_extension(ext)
            return
        check_compiler()
        if sys.platform == "darwin":
            os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
        with tempfile.TemporaryDirectory(prefix="softphone-") as folder:
            self._build_in(Path(folder), ext)

    def _build_in(self, folder: Path, ext: Extension) -> None:
        library = obtain_libopus(folder, lambda text: print(f"softphone: {text}", flush=True))
        source = folder / "_opus.c"
        write_c_source(str(source))
        ext.sources = [str(source)]
        ext.include_dirs = library.include_dirs
        ext.extra_objects = library.objects
        ext.extra_link_args = library.link_flags
        ext.libraries = ["m"]
        try:
            super().build_extension(ext)
        except (CCompilerError, BaseError) as error:
            raise BuildError(
                f"compiling the binding to libopus failed ({error}); see the compiler's output above."
            ) from error
