"""Find the source of libopus: what the user names, the cache, upstream, the distribution."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from build_backend.apt import download_source_package
from build_backend.archive import check_tree, unpack
from build_backend.cache import cached_tarball, keep_tarball
from build_backend.errors import BuildError, SourceUnavailableError
from build_backend.release import KNOWN_SHA256, sha256_of
from build_backend.upstream import download_release

__all__ = ["SHA256_VARIABLE", "SOURCE_VARIABLE", "obtain_source"]

SOURCE_VARIABLE: Final = "SOFTPHONE_OPUS_SOURCE"
"""Environment variable: a release tarball of libopus, or a folder with one unpacked."""

SHA256_VARIABLE: Final = "SOFTPHONE_OPUS_SHA256"
"""Environment variable: the digest of a tarball that is not one of the known releases."""


def obtain_source(folder: Path, say: Callable[[str], None] = print) -> Path:
    """Return a complete source tree of libopus, working below ``folder``.

    Raises :class:`BuildError` when what the user named is wrong, or no place has any.
    """
    named = os.environ.get(SOURCE_VARIABLE)
    if named:
        return _from_user(Path(named).expanduser(), folder)
    kept = cached_tarball()
    if kept is not None:
        say(f"taking libopus from {kept}")
        return unpack(kept, folder)
    reasons = []
    for place, fetch in (("xiph.org", download_release), ("the distribution", download_source_package)):
        say(f"fetching the source of libopus from {place}")
        try:
            tarball = fetch(folder)
        except SourceUnavailableError as error:
            say(f"no luck: {error}")
            reasons.append(str(error))
            continue
        keep_tarball(tarball)
        return unpack(tarball, folder)
    raise BuildError(
        f"no source of libopus: {'; '.join(reasons)}. Get opus-1.6.1.tar.gz from "
        f"https://opus-codec.org/downloads/ and set {SOURCE_VARIABLE} to its path."
    )


def _from_user(path: Path, folder: Path) -> Path:
    if path.is_dir():
        return check_tree(path.resolve())
    if not path.is_file():
        raise BuildError(f"{SOURCE_VARIABLE} names {path}, which does not exist: correct or unset it.")
    digest = sha256_of(path)
    if digest not in {*KNOWN_SHA256, os.environ.get(SHA256_VARIABLE, "").strip().lower()}:
        raise BuildError(
            f"{path} has the wrong SHA-256 {digest}: it is no known release of libopus; fetch it anew, or "
            f"set {SHA256_VARIABLE} to this digest if you trust it."
        )
    return unpack(path, folder)
