"""Unpack a source tarball without trusting what is in it."""

import tarfile
from pathlib import Path, PurePosixPath

from build_backend.errors import BuildError
from build_backend.release import MINIMUM_VERSION, parse_version

__all__ = ["check_tree", "unpack"]


def unpack(tarball: Path, destination: Path) -> Path:
    """Unpack ``tarball`` below ``destination`` and return the source tree in it.

    Only plain files and folders inside one top folder are taken; anything else, such as
    links or paths that lead elsewhere, raises :class:`BuildError`.
    """
    try:
        with tarfile.open(tarball) as archive:
            members = archive.getmembers()
            for member in members:
                parts = PurePosixPath(member.name).parts
                if not (member.isfile() or member.isdir()) or ".." in parts or member.name.startswith("/"):
                    raise BuildError(
                        f"{tarball} holds the suspicious entry {member.name!r}: fetch the release anew"
                    )
            # Python 3.11 before 3.11.4 has no filters; the check above leaves them nothing to do.
            safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(destination, members, **safely)  # type: ignore[arg-type]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BuildError(
            f"{tarball} can't be unpacked ({error}): fetch the release of libopus anew"
        ) from error
    tops = {PurePosixPath(member.name).parts[0] for member in members}
    if len(tops) != 1:
        raise BuildError(f"{tarball} is not a release of libopus: it has {len(tops)} top folders")
    return check_tree(destination / tops.pop())


def check_tree(tree: Path) -> Path:
    """Return ``tree`` if it is a libopus release new enough and complete, else raise `BuildError`."""
    if not (tree / "include" / "opus.h").is_file():
        raise BuildError(
            f"{tree} is not a source tree of libopus: unpack a release of libopus 1.6.1 or newer"
        )
    stated = tree / "package_version"
    version = parse_version(stated.read_text()) if stated.is_file() else ()
    if version and version < MINIMUM_VERSION:
        raise BuildError(
            f"{tree} is libopus {'.'.join(map(str, version))}, but 1.6.1 or newer is needed: take that"
        )
    if not (tree / "dnn" / "dred_rdovae_enc_data.c").is_file():
        raise BuildError(
            f"{tree} lacks the weights of the neural networks, as git checkouts do: take a release tarball"
        )
    return tree
