"""Feeds of one Janus server made heard in the same room of another.

The target opens a port (`add_remote_publisher`), the source sends there
(`publish_remotely`); subscribers of the target see an ordinary feed. Janus encrypts that
way with SRTP from version 1.3.0 on; older ones ignore the request for it silently, so the
version is asked first.
"""

import base64
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from softphone.errors import ConfigError

from .errors import NO_SUCH_FEED, JanusError, JanusProtocolError
from .protocol import Json
from .session import JanusHandle
from .videoroom import Feed

__all__ = ["CascadeSide", "encrypts_cascades", "mirror", "unmirror"]

_SRTP_SINCE = (1, 3, 0)
_SRTP_TAG_BITS = 80
_SRTP_KEY_BYTES = 30
"""Key and salt of AES_CM_128_HMAC_SHA1_80 (RFC 4568, section 6.2)."""


@dataclass(frozen=True, slots=True)
class CascadeSide:
    """The room on one of the two servers."""

    handle: JanusHandle
    room: str
    secret: str
    host: str
    """Name or address at which the other server reaches this one's ports."""
    srtp: bool
    """The server can encrypt; see `encrypts_cascades`."""

    def body(self, request: str, **members: Any) -> dict[str, Any]:
        """A request about the room."""
        return {"request": request, "room": self.room, "secret": self.secret, **members}


def encrypts_cascades(info: Json) -> bool:
    """Tell from `JanusSession.info` whether the server knows SRTP between servers."""
    words = str(info.get("version_string", "")).split(".")
    try:
        return tuple(int(word) for word in words[:3]) >= _SRTP_SINCE
    except ValueError:
        return False


async def mirror(
    feed: Feed, source: CascadeSide, target: CascadeSide, *, level_id: int = 0, plain: bool = False
) -> None:
    """Make a local feed of `source` a feed of `target`, with the same id and display.

    `level_id`: identifier of the audio level among the publisher's RTP header extensions, 1..14;
    0: it sends none. Janus passes packets from server to server as the publisher numbered them.

    `plain` allows RTP without encryption between servers that can't do better: for a network
    that is private by other means, or for payloads that are encrypted end to end. Raises
    :class:`softphone.errors.ConfigError` when that would be needed and is not allowed, and
    :class:`.errors.JanusError`.
    """
    srtp: dict[str, Any] = {}
    if source.srtp and target.srtp:
        key = base64.b64encode(os.urandom(_SRTP_KEY_BYTES)).decode()
        srtp = {"srtp_suite": _SRTP_TAG_BITS, "srtp_crypto": key}
    elif not plain:
        raise ConfigError(
            "these Janus servers send to each other without encryption; use Janus 1.3.0 or newer on both, "
            "or allow it when the network between them is private"
        )
    stream = {"mid": "0", "mindex": 0, "type": "audio", "codec": "opus", "fec": True}
    if level_id:
        stream["audiolevel_ext_id"] = level_id
    opened = await target.handle.message(
        target.body("add_remote_publisher", id=feed.id, display=feed.display, streams=[stream], **srtp)
    )
    port = opened.data.get("port")
    if not isinstance(port, int):
        raise JanusProtocolError("Janus did not say at which port it awaits the other server")
    try:
        # Whoever passed the feed on before sends to a port that is none any more.
        await _stop_sending(feed.id, source, target)
        await source.handle.message(
            source.body(
                "publish_remotely",
                publisher_id=feed.id,
                remote_id=_remote_id(target, feed.id),
                host=target.host,
                port=port,
                **srtp,
            )
        )
    except BaseException:
        await _stop_receiving(feed.id, target)
        raise


async def unmirror(feed: str, source: CascadeSide, target: CascadeSide) -> None:
    """Undo `mirror`, or what is left of it. Raises :class:`.errors.JanusError`."""
    await _stop_sending(feed, source, target)
    await _stop_receiving(feed, target)


async def _stop_sending(feed: str, source: CascadeSide, target: CascadeSide) -> None:
    body = source.body("unpublish_remotely", publisher_id=feed, remote_id=_remote_id(target, feed))
    with _unless_gone():
        await source.handle.message(body)


async def _stop_receiving(feed: str, target: CascadeSide) -> None:
    with _unless_gone():
        await target.handle.message(target.body("remove_remote_publisher", id=feed))


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except JanusError as error:
        if error.code != NO_SUCH_FEED:
            raise


def _remote_id(target: CascadeSide, feed: str) -> str:
    return f"{target.host} {feed}"
