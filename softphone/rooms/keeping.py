"""Secrets of the room server that outlive it, in a folder that only its user can read."""

import contextlib
import os
import secrets
import sys
from pathlib import Path
from typing import Final

from softphone.errors import ConfigError

__all__ = ["data_folder", "keep_private", "kept_token_secret", "read_secret"]

_TOKEN_SECRET: Final = "room-token-secret"
_MAX_SECRET_BYTES: Final = 4096


def data_folder() -> Path:
    """Where softphone keeps data of this user; not made yet, perhaps."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
        root = Path(base) if base else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME", "")
        # The XDG specification has relative paths ignored.
        root = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share"
    return root / "softphone"


def keep_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, all of it or none. Raises `ConfigError`."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise ConfigError(f"can't write {path} ({error.strerror or error})") from error


def read_secret(path: Path) -> str:
    """The secret in a file, without white space around it. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SECRET_BYTES + 1).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"can't read the secret in {path} ({reason})") from error
    if not text or len(text) > _MAX_SECRET_BYTES:
        raise ConfigError(f"{path} must hold a secret, and nothing else")
    return text


def kept_token_secret(folder: Path | None = None) -> bytes:
    """The token secret of this user, made when there is none yet. Raises `ConfigError`."""
    path = (folder or data_folder()) / _TOKEN_SECRET
    if not path.exists():
        keep_private(path, secrets.token_hex(32).encode() + b"\n")
    return read_secret(path).encode()
