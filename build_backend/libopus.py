"""Get a libopus to link with: the system's when it is good, else compiled here with DRED."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from build_backend.errors import BuildError
from build_backend.probe import Library, probe, system_library
from build_backend.source import SOURCE_VARIABLE, obtain_source
from build_backend.toolchain import build_tool, run

__all__ = ["CHOICE_VARIABLE", "obtain_libopus"]

CHOICE_VARIABLE: Final = "SOFTPHONE_OPUS"
"""Environment variable: ``system``, ``bundled``, or unset to take the system's if it has DRED."""

# Every symbol stays inside the extension: PyAV brings a libopus of its own into the same process.
# CMake knows no option for OSCE's bandwidth extension, so it is defined by hand.
_C_FLAGS: Final = "-fno-lto -fvisibility=hidden -DOPUS_EXPORT= -DENABLE_OSCE_BWE"

_OPTIONS: Final = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_POSITION_INDEPENDENT_CODE=ON",
    "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF",
    "-DCMAKE_INSTALL_LIBDIR=lib",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DOPUS_BUILD_SHARED_LIBRARY=OFF",
    "-DOPUS_BUILD_PROGRAMS=OFF",
    "-DOPUS_BUILD_TESTING=OFF",
    "-DOPUS_DRED=ON",
    "-DOPUS_DEEP_PLC=ON",
    "-DOPUS_OSCE=ON",
)


def obtain_libopus(folder: Path, say: Callable[[str], None] = print) -> Library:
    """Return a libopus >= 1.6.1 with DRED, building it below ``folder`` if need be.

    Raises :class:`BuildError` when that is impossible.
    """
    choice = os.environ.get(CHOICE_VARIABLE, "")
    if choice not in ("", "system", "bundled"):
        raise BuildError(f"{CHOICE_VARIABLE} is {choice!r}: set it to 'system' or 'bundled', or unset it.")
    if choice == "system":
        try:
            return system_library()
        except BuildError as error:
            raise BuildError(
                f"{CHOICE_VARIABLE}=system, but the system's libopus can't be used: {error}; unset it to "
                "have a libopus with DRED built into softphone."
            ) from error
    if choice == "" and not os.environ.get(SOURCE_VARIABLE):
        try:
            return system_library()
        except BuildError as error:
            say(f"not using a system libopus: {error}")
    return _compile(obtain_source(folder, say), folder, say)


def _compile(tree: Path, folder: Path, say: Callable[[str], None]) -> Library:
    say(f"compiling {tree.name} with DRED, deep PLC and OSCE (half a minute)")
    build, installed = folder / "build", folder / "installed"
    flags = " ".join(filter(None, [os.environ.get("CFLAGS"), _C_FLAGS]))
    options = [*_OPTIONS, f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_INSTALL_PREFIX={installed}"]
    if sys.platform == "darwin":
        options.append(f"-DCMAKE_OSX_ARCHITECTURES={os.uname().machine}")
    cmake = build_tool("cmake")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={build_tool('ninja')}"]
    run([cmake, "-S", str(tree), "-B", str(build), *generator, *options], "configuring libopus")
    run([cmake, "--build", str(build), "--target", "install"], "compiling libopus")
    library = Library([str(installed / "include" / "opus")], objects=[str(installed / "lib" / "libopus.a")])
    try:
        probe(library)
    except BuildError as error:
        raise BuildError(f"the libopus compiled from {tree} is of no use: {error}.") from error
    return library
