"""What pip and build call (PEP 517, PEP 660): setuptools, with our errors as one sentence."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

from build_backend.errors import BuildError

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

_Settings: TypeAlias = Mapping[str, Any] | None


def build_wheel(
    wheel_directory: str, config_settings: _Settings = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel with libopus inside; its file name."""
    with _one_sentence():
        return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_editable(
    wheel_directory: str, config_settings: _Settings = None, metadata_directory: str | None = None
) -> str:
    """Build the extension next to its sources, and a wheel that points there."""
    with _one_sentence():
        return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))


@contextmanager
def _one_sentence() -> Iterator[None]:
    """End the process with the sentence alone, so that it is the last thing pip shows of it."""
    try:
        yield
    except BuildError as error:
        raise SystemExit(f"softphone can't be built: {error}") from None
