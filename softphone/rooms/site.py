"""The web page of rooms: a few files, read once, with the headers that keep strangers' code out."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from softphone.rooms.values import ROOM_NAME

__all__ = ["STATIC_PREFIX", "Site"]

STATIC_PREFIX: Final = "/static/"

_INDEX: Final = "index.html"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_ROOM_PATH = re.compile(f"/r/{ROOM_NAME}")
_SHOUTED_ROOM_PATH = re.compile(f"/r/{ROOM_NAME}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    kind: str
    etag: str


class Site:
    """Answers ``GET /``, ``GET /r/ROOM`` and ``GET /static/FILE``."""

    def __init__(self, folder: Path, connect_to: Iterable[str] = ()) -> None:
        """`connect_to` are origins besides our own that the page must reach, such as a media server's."""
        self._files = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in _TYPES and path.is_file()
        }
        self._headers = {
            "Content-Security-Policy": _policy(connect_to),
            "Permissions-Policy": "microphone=(self), speaker-selection=(self), camera=(), geolocation=()",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            # Revalidated each time by its ETag, so that page and server are of one version.
            "Cache-Control": "no-cache",
        }

    def respond(self, request: web.BaseRequest) -> web.Response:
        """The answer to a request, 404 and 405 included."""
        if request.method not in ("GET", "HEAD"):
            return self._plain(405, "only GET here")
        path = request.path
        if path == "/" or _ROOM_PATH.fullmatch(path):
            return self._file(request, _INDEX)
        if _SHOUTED_ROOM_PATH.fullmatch(path):
            # Names of rooms are dictated over the phone; browsers keep the part after #.
            return web.Response(status=308, headers={**self._headers, "Location": path.lower()})
        name = path.removeprefix(STATIC_PREFIX)
        if name != path and name != _INDEX:
            return self._file(request, name)
        return self._plain(404, "there is nothing here; rooms are at /r/NAME")

    def _file(self, request: web.BaseRequest, name: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            return self._plain(404, "this server has no such file")
        headers = {**self._headers, "ETag": file.etag, "Content-Type": file.kind}
        if file.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.content, headers=headers)

    def _plain(self, status: int, text: str) -> web.Response:
        return web.Response(status=status, text=text + "\n", headers=self._headers)


def _read(path: Path) -> _File:
    content = path.read_bytes()
    return _File(content, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _policy(connect_to: Iterable[str]) -> str:
    """Nothing but our own files, no inline code, nobody who frames us."""
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "media-src": "'self' blob:",
        "worker-src": "'self'",
        "manifest-src": "'self'",
        "connect-src": " ".join(("'self'", *connect_to)),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
