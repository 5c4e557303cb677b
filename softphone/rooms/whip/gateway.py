"""The endpoints of WHIP (RFC 9725) and WHEP on a room server.

=========================  ===========================================================
``POST /whip/ROOM``        an offer; answered with 201, the answer and ``Location``
``POST /whep/ROOM``        the same for a listener
``PATCH`` of a session     candidates (trickle ICE); restarts are refused with 422
``DELETE`` of a session    ends it
``OPTIONS``                what is accepted
=========================  ===========================================================

A bearer token is what a page gives as ``token`` when it joins.
"""

import asyncio
import contextlib
import re

from aiohttp import web
from yarl import URL

from softphone.conference import ConferenceConfig
from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rooms.hub import RoomHub
from softphone.rooms.server import RoomServer
from softphone.rooms.values import MAX_TOKEN, ROOM_NAME
from softphone.signaling.limits import address_key

from .descriptions import check_offer, parse_fragment
from .errors import RequestRefusedError, refusal
from .session import WhipSession

__all__ = ["WhipGateway"]

MAX_BODY = 65_536
MAX_SESSIONS = 64
"""Each costs as much as a participant."""

_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
_PATH = re.compile(rf"/(whip|whep)/({ROOM_NAME})(?:/([A-Za-z0-9_-]{{16,64}}))?", re.ASCII)
_NAMES = {"whip": "Stream", "whep": "Listener"}


class WhipGateway:
    """Answers requests below ``/whip/`` and ``/whep/``. Mount it on a server that has been started."""

    def __init__(self, server: RoomServer, config: ConferenceConfig | None = None) -> None:
        """`config`: addresses, ports and servers for media, and how the mix is sent."""
        self._server = server
        self._config = config or ConferenceConfig(source="null", sink="null")
        self._sessions: dict[str, WhipSession] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._opening = 0

    def mount(self) -> None:
        """Serve from now on."""
        for prefix in ("/whip/", "/whep/"):
            self._server.mount(prefix, self.handle)

    @property
    def sessions(self) -> int:
        """Sessions that are open."""
        return len(self._sessions)

    async def close(self) -> None:
        """End every session."""
        sessions, self._sessions = list(self._sessions.values()), {}
        await asyncio.gather(*(session.close() for session in sessions), *self._closing)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            self._check_origin(request)
            return await self._handle(request)
        except (RemoteProtocolError, ConfigError) as error:
            known = (
                refusal(error)
                if isinstance(error, RemoteProtocolError)
                else RequestRefusedError(500, "not possible")
            )
            return web.Response(status=known.status, text=f"{known}\n", headers=known.headers)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        match = _PATH.fullmatch(request.path)
        if match is None:
            raise RequestRefusedError(404, "there is nothing here; a room is /whip/ROOM or /whep/ROOM")
        kind, room, session = match[1], match[2], match[3]
        if session is None:
            if request.method == "POST":
                return await self._open(request, kind, room)
            if request.method == "OPTIONS":
                return web.Response(status=204, headers={"Allow": "POST, OPTIONS", "Accept-Post": _SDP})
            raise RequestRefusedError(405, "a session is begun with POST", {"Allow": "POST, OPTIONS"})
        found = self._sessions.get(session)
        if found is None or found.publishes is not (kind == "whip"):
            raise RequestRefusedError(404, "there is no such session, any more")
        if request.method == "DELETE":
            del self._sessions[session]
            await found.close()
            return web.Response(status=200)
        if request.method == "PATCH":
            return await self._trickle(request, found)
        if request.method == "OPTIONS":
            headers = {"Allow": "DELETE, OPTIONS, PATCH", "Accept-Patch": _FRAGMENT}
            return web.Response(status=204, headers=headers)
        raise RequestRefusedError(405, "a session is ended with DELETE", {"Allow": "DELETE, OPTIONS, PATCH"})

    async def _open(self, request: web.BaseRequest, kind: str, room: str) -> web.Response:
        _check_type(request, _SDP)
        offer = await _body(request)
        ufrag = check_offer(offer, publishes=kind == "whip")
        if len(self._sessions) + self._opening >= MAX_SESSIONS:
            raise RequestRefusedError(503, "too many sessions: try again later", {"Retry-After": "10"})
        session = WhipSession(self._hub, self._config, ufrag, publishes=kind == "whip")
        self._opening += 1
        try:
            address = address_key(self._server.client_address(request))
            answer = await session.open(offer, room, _bearer(request), address, _NAMES[kind])
        finally:
            self._opening -= 1
        session.on_over = self._on_over
        self._sessions[session.id] = session
        headers = {
            "Location": f"/{kind}/{room}/{session.id}",
            "ETag": session.etag,
            "Accept-Patch": _FRAGMENT,
        }
        return web.Response(status=201, text=answer, content_type=_SDP, headers=headers)

    async def _trickle(self, request: web.BaseRequest, session: WhipSession) -> web.Response:
        _check_type(request, _FRAGMENT)
        condition = request.headers.get("If-Match")
        if condition is None:
            raise RequestRefusedError(428, "say with If-Match which ICE session is meant")
        if session.etag not in [tag.strip() for tag in condition.split(",")]:
            # "*" asks for a restart.
            raise RequestRefusedError(
                422 if condition == "*" else 412, "not the ICE session of this resource"
            )
        await session.trickle(parse_fragment(await _body(request)))
        return web.Response(status=204)

    def _check_origin(self, request: web.BaseRequest) -> None:
        """Refuse what a page of another origin asks for; programs send no Origin."""
        origin, config = request.headers.get("Origin"), self._server.config
        if origin is None or origin in config.allowed_origins:
            return
        with contextlib.suppress(ValueError):
            theirs = URL(origin)
            ours = URL(config.public_url or f"{theirs.scheme}://{request.host}")
            if theirs.scheme in ("http", "https") and (theirs.host, theirs.port) == (ours.host, ours.port):
                return
        raise RequestRefusedError(403, "no page of another origin may connect")

    @property
    def _hub(self) -> RoomHub:
        return self._server.hub

    def _on_over(self, session: WhipSession) -> None:
        if self._sessions.pop(session.id, None) is not None:
            task = asyncio.create_task(session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _check_type(request: web.BaseRequest, wanted: str) -> None:
    if request.content_type != wanted:
        raise RequestRefusedError(415, f"the body must be {wanted}", {"Accept": wanted})


async def _body(request: web.BaseRequest) -> str:
    length = request.content_length
    if length is not None and length > MAX_BODY:
        raise RequestRefusedError(413, f"the body has more than {MAX_BODY} bytes")
    body = bytearray()
    while chunk := await request.content.read(MAX_BODY + 1 - len(body)):
        body += chunk
        if len(body) > MAX_BODY:
            raise RequestRefusedError(413, f"the body has more than {MAX_BODY} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RequestRefusedError(400, "the body is not UTF-8") from error


def _bearer(request: web.BaseRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme and scheme.lower() != "bearer":
        raise RequestRefusedError(
            401, "only bearer tokens are known", {"WWW-Authenticate": 'Bearer realm="rooms"'}
        )
    if len(token) > MAX_TOKEN:
        raise RequestRefusedError(401, "the token is too long", {"WWW-Authenticate": 'Bearer realm="rooms"'})
    return token.strip()
