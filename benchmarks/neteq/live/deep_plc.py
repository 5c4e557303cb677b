"""A libopus with deep PLC for Chromium: what NetEq could sound like.

Chromium of a distribution links the system's libopus. Where that is old, or never told to
use its neural network, this gives it another one, and a complexity at which it does.
"""

import os
from pathlib import Path
from typing import Final

from softphone.errors import ConfigError

__all__ = ["deep_plc_environment"]

_OPTIONS: Final = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_INSTALL_LIBDIR=lib",
    "-DBUILD_SHARED_LIBS=ON",
    "-DOPUS_BUILD_PROGRAMS=OFF",
    "-DOPUS_BUILD_TESTING=OFF",
    "-DOPUS_DEEP_PLC=ON",
)
# The browser asks for no complexity, and at 0 libopus conceals as ever; OPUS_SET_COMPLEXITY is 4010.
_SHIM: Final = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

typedef struct OpusDecoder OpusDecoder;

OpusDecoder *opus_decoder_create(int32_t rate, int channels, int *error) {
  OpusDecoder *(*create)(int32_t, int, int *) = dlsym(RTLD_NEXT, "opus_decoder_create");
  int (*ctl)(OpusDecoder *, int, ...) = dlsym(RTLD_NEXT, "opus_decoder_ctl");
  OpusDecoder *decoder = create(rate, channels, error);
  if (decoder) ctl(decoder, 4010, 5);
  return decoder;
}
"""


def deep_plc_environment(cache: Path) -> dict[str, str]:
    """Variables for a browser that is to use such a libopus; builds it in ``cache`` once.

    Raises :class:`ConfigError` when it can't be built; Linux only.
    """
    folder = cache / "deep-plc"
    library, shim = folder / "installed" / "lib", folder / "complexity.so"
    if not (shim.is_file() and (library / "libopus.so.0").exists()):
        _build(folder, shim)
    return {"LD_LIBRARY_PATH": str(library), "LD_PRELOAD": str(shim)}


def _build(folder: Path, shim: Path) -> None:
    # Only a checkout has it, and only this needs it.
    from build_backend.errors import BuildError
    from build_backend.source import obtain_source
    from build_backend.toolchain import build_tool, run

    folder.mkdir(parents=True, exist_ok=True)
    try:
        tree = obtain_source(folder, lambda text: None)
        build = folder / "build"
        prefix = f"-DCMAKE_INSTALL_PREFIX={folder / 'installed'}"
        generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={build_tool('ninja')}"]
        configure = [build_tool("cmake"), "-S", str(tree), "-B", str(build), *generator, *_OPTIONS, prefix]
        run(configure, "configuring libopus")
        run([build_tool("cmake"), "--build", str(build), "--target", "install"], "compiling libopus")
        source = folder / "complexity.c"
        source.write_text(_SHIM, encoding="utf-8")
        compiler = os.environ.get("CC", "cc")
        run([compiler, "-shared", "-fPIC", "-O2", str(source), "-o", str(shim), "-ldl"], "compiling the shim")
    except BuildError as error:
        raise ConfigError(f"a libopus with deep PLC can't be built: {error}") from error
