"""Fetch the release of Xiph.Org over HTTPS."""

import queue
import shutil
import threading
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from build_backend.errors import SourceUnavailableError
from build_backend.release import KNOWN_SHA256, UPSTREAM_URL, sha256_of

__all__ = ["download_release"]


def download_release(folder: Path, url: str = UPSTREAM_URL, connect_seconds: float = 6.0) -> Path:
    """Download the release into ``folder`` and verify it.

    Raises :class:`SourceUnavailableError` within seconds when the server can't be reached,
    and when what came is not the release.
    """
    tarball = folder / url.rpartition("/")[2]
    try:
        with _open(url, connect_seconds) as response, tarball.open("wb") as file:
            shutil.copyfileobj(response, file)
    except (OSError, HTTPException) as error:
        raise SourceUnavailableError(f"{url} can't be fetched ({error})") from error
    digest = sha256_of(tarball)
    if digest not in KNOWN_SHA256:
        tarball.unlink()
        raise SourceUnavailableError(f"what {url} gave has the wrong SHA-256 {digest}")
    return tarball


def _open(url: str, seconds: float) -> IO[bytes]:
    """Open ``url``, giving up after ``seconds`` whatever the resolver is doing."""
    answers: queue.Queue[Any] = queue.Queue()

    def connect() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=seconds))
        except Exception as error:
            answers.put(error)

    # A name that does not resolve can block for half a minute, and can't be interrupted.
    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer if isinstance(answer, OSError | HTTPException) else OSError(str(answer))
    return answer  # type: ignore[no-any-return]
