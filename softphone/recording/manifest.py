"""``session.json``: what a folder with a recorded call holds."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from softphone.errors import MediaFileError

__all__ = ["MANIFEST_NAME", "MANIFEST_VERSION", "read_manifest", "recording_directory", "write_manifest"]

MANIFEST_NAME = "session.json"
MANIFEST_VERSION = 1


def write_manifest(directory: Path, values: Mapping[str, Any]) -> None:
    """Write the manifest so that a reader sees the old one or the new one, never half. Raises OSError."""
    partial = directory / (MANIFEST_NAME + ".part")
    text = json.dumps({"schema_version": MANIFEST_VERSION, **values}, indent=2, ensure_ascii=False)
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, directory / MANIFEST_NAME)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest of a recording.

    Raises :class:`softphone.errors.MediaFileError` when there is none, it is damaged,
    or a newer softphone wrote it.
    """
    path = directory / MANIFEST_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MediaFileError(f"{directory} holds no recorded call: {error.strerror}") from error
    except ValueError as error:
        raise MediaFileError(f"{path} is damaged: {error}") from error
    if not isinstance(values, dict) or values.get("schema_version") != MANIFEST_VERSION:
        raise MediaFileError(f"{path} is not of version {MANIFEST_VERSION}; use the softphone that wrote it")
    return values


def recording_directory(base: Path, started: datetime | None = None) -> Path:
    """Return a new folder name below ``base`` for one more call, after its start in local time.

    The folder is not made; `CallRecorder` does that.
    """
    moment = (started or datetime.now(UTC)).astimezone()
    stem = moment.strftime("call-%Y%m%d-%H%M%S")
    path, count = base / stem, 1
    while path.exists():
        count += 1
        path = base / f"{stem}-{count}"
    return path
