"""The client of WHIP (RFC 9725) and WHEP: publish to, or listen to, any server that knows them."""

import contextlib
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

import aiohttp
from yarl import URL

from softphone.errors import ConfigError, PeerUnreachableError, RemoteProtocolError
from softphone.rooms.trust import ServerTrust
from softphone.signaling.errors import CallRefusedError
from softphone.signaling.target import is_loopback
from softphone.webrtc import LocalAudio, NegotiatedAudio, Peer

__all__ = ["WhipClient", "WhipTarget"]

_TIMEOUT: Final = 10.0
_MAX_ANSWER: Final = 65_536
_HOW: Final = "write whip+https://HOST/PATH#TOKEN to publish, whep+https://... to listen"
_CODES: Final = {401: "unauthorized", 403: "unauthorized", 404: "not-found", 503: "busy"}


@dataclass(frozen=True, slots=True)
class WhipTarget:
    """An endpoint, as users type it."""

    url: URL
    """``https://`` or ``http://``."""
    publishes: bool
    """WHIP: we send; WHEP: we receive."""
    token: str = field(default="", repr=False)
    """Bearer token; empty: none."""

    @classmethod
    def parse(cls, text: str, *, token: str = "") -> "WhipTarget":
        """Read ``whip+https://HOST/PATH#TOKEN``, or the same with ``whep`` or ``http``.

        `token` is used where the address has none.

        Without TLS only this machine can be reached: the token, and what keeps speech secret, would
        be there to read. Raises :class:`softphone.errors.ConfigError`, which says what to write instead.
        """
        scheme, separator, rest = text.strip().partition("+")
        address, _, own = rest.partition("#")
        token = own or token
        try:
            url = URL(address)
        except ValueError as error:
            raise ConfigError(f"{text!r} is no WHIP or WHEP endpoint: {_HOW}") from error
        if not separator or scheme.lower() not in ("whip", "whep") or url.scheme not in ("http", "https"):
            raise ConfigError(f"{text!r} is no WHIP or WHEP endpoint: {_HOW}")
        if not url.host or url.user is not None:
            raise ConfigError(f"{text!r} has no host, or a user name in front of it: {_HOW}")
        if url.scheme == "http" and url.host != "localhost" and not is_loopback(url.host):
            raise ConfigError(f"{url.host} is another machine, which wants TLS: {_HOW}")
        if not token.isascii() or not token.isprintable():
            raise ConfigError("the token must be printable ASCII")
        return cls(url, scheme.lower() == "whip", token)

    @staticmethod
    def matches(text: str) -> bool:
        """Tell whether `text` is meant for `parse`, right or wrong."""
        return text.strip().lower().startswith(("whip+", "whep+"))

    @property
    def audio(self) -> LocalAudio:
        """What to ask for: Opus one way, without RED, which few such servers know."""
        direction = "sendonly" if self.publishes else "recvonly"
        return LocalAudio(direction=direction, red=False, telephone_event=False)


class WhipClient:
    """One session. Make a peer with `WhipTarget.audio`, `open` with it, and `close`."""

    def __init__(self, target: WhipTarget, *, trust: ServerTrust | None = None) -> None:
        self.target = target
        self._trust = trust or ServerTrust()
        self._http: aiohttp.ClientSession | None = None
        self._session: URL | None = None

    async def __aenter__(self) -> "WhipClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self, peer: Peer) -> NegotiatedAudio:
        """Offer, and take the answer; `peer` connects by itself from then on.

        Raises :class:`softphone.errors.PeerUnreachableError`,
        :class:`softphone.signaling.errors.CallRefusedError` with the server's reason, and
        :class:`softphone.errors.RemoteProtocolError` for an answer that can't be used.
        """
        offer = await peer.create_offer()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT))
        try:
            async with self._http.post(
                self.target.url,
                data=offer.encode(),
                headers={"Content-Type": "application/sdp", **self._authorization()},
                ssl=self._trust.ssl,
            ) as response:
                body = await response.content.read(_MAX_ANSWER + 1)
                if response.status != 201:
                    reason = _sentence(body) or response.reason or "no reason given"
                    code = _CODES.get(response.status, "refused")
                    raise CallRefusedError(code, f"the server refuses ({response.status}): {reason}")
                location = response.headers.get("Location")
                if location is None:
                    raise RemoteProtocolError("the server does not name the session")
                self._session = _session_url(response.url, location)
        except aiohttp.ServerFingerprintMismatch as error:
            raise PeerUnreachableError(
                f"{self.target.url.host} shows another certificate than the one with that fingerprint"
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PeerUnreachableError(f"{self.target.url.host} can't be reached: {error}") from error
        if len(body) > _MAX_ANSWER:
            raise RemoteProtocolError(f"the answer has more than {_MAX_ANSWER} bytes")
        return await peer.accept_answer(body.decode("utf-8", "replace"))

    async def close(self) -> None:
        """End the session, if the server can be told. Idempotent."""
        http, self._http = self._http, None
        session, self._session = self._session, None
        if http is None:
            return
        async with http:
            if session is not None:
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    await http.delete(session, headers=self._authorization(), ssl=self._trust.ssl)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.target.token}"} if self.target.token else {}


def _session_url(endpoint: URL, location: str) -> URL:
    """Where the session is. The token must not go anywhere else than to its server."""
    try:
        session = endpoint.join(URL(location))
    except ValueError as error:
        raise RemoteProtocolError("the server names a session that is no URL") from error
    if session.origin() != endpoint.origin():
        raise RemoteProtocolError("the server names a session on another server")
    return session


def _sentence(body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace").partition("\n")[0]
    return "".join(character for character in text if character.isprintable()).strip()
