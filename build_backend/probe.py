"""Ask a libopus, by running it, whether it is new enough and has DRED."""

import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from build_backend.errors import BuildError
from build_backend.release import MINIMUM_VERSION, parse_version
from build_backend.toolchain import compile_program

__all__ = ["Library", "probe", "system_library"]

# Only the encoder tells the truth: a DRED decoder can be made even where there is no DRED.
_PROGRAM: Final = """
#include <stdio.h>
#include <opus.h>
int main(void)
{
    int error;
    OpusEncoder *encoder = opus_encoder_create(48000, 1, OPUS_APPLICATION_VOIP, &error);
    if (encoder == NULL)
        return 2;
    printf("%d %s\\n", opus_encoder_ctl(encoder, OPUS_SET_DRED_DURATION(100)), opus_get_version_string());
    return 0;
}
"""


@dataclass(frozen=True)
class Library:
    """How to compile and link against a libopus."""

    include_dirs: list[str]
    link_flags: list[str] = field(default_factory=list)
    """Flags for the linker, libraries included."""
    objects: list[str] = field(default_factory=list)
    """Static libraries to link in whole."""


def probe(library: Library) -> None:
    """Raise :class:`BuildError` unless ``library`` is libopus >= 1.6.1 with DRED."""
    includes = [f"-I{path}" for path in library.include_dirs]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flags = [*includes, *library.objects, *library.link_flags, "-lm"]
        works, _ = compile_program(_PROGRAM, folder, flags)
        if not works:
            raise BuildError("libopus 1.6.1 or newer and its headers are not installed")
        done = subprocess.run([folder / "program"], capture_output=True, text=True, check=False)
    result, _, version = done.stdout.strip().partition(" ")
    if parse_version(version) < MINIMUM_VERSION:
        raise BuildError(f"it is {version or 'broken'}, but 1.6.1 or newer is needed")
    if result != "0":
        raise BuildError(f"{version} was built without DRED")


def system_library() -> Library:
    """The libopus that pkg-config or the compiler finds, probed.

    Raises :class:`BuildError` when it is missing, too old, or has no DRED.
    """
    library = Library(
        _pkg_config("--cflags-only-I") or ["/usr/include/opus"], _pkg_config("--libs") or ["-lopus"]
    )
    probe(library)
    return library


def _pkg_config(what: str) -> list[str]:
    tool = os.environ.get("PKG_CONFIG", "pkg-config")
    if shutil.which(tool) is None:
        return []
    done = subprocess.run([tool, what, "opus"], capture_output=True, text=True, check=False)
    words = shlex.split(done.stdout) if done.returncode == 0 else []
    return [word.removeprefix("-I") for word in words]
