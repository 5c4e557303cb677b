"""Which STUN and TURN servers the connections of a room use."""

import logging

from softphone.conference.config import ConferenceConfig
from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rooms.values import IceServerInfo
from softphone.webrtc import IceConfig, IceServer

__all__ = ["room_ice"]

_LOG = logging.getLogger(__name__)


def room_ice(config: ConferenceConfig, servers: tuple[IceServerInfo, ...], *, relay_only: bool) -> IceConfig:
    """The user's servers, then those that the room server names.

    Raises :class:`softphone.errors.RemoteProtocolError` when the room server asks for what can't be had.
    """
    named = []
    for server in servers:
        for url in server.urls:
            try:
                named.append(IceServer(url, server.username or None, server.credential or None))
            except ConfigError as error:
                _LOG.warning("the room server names a server that can't be used: %s", error)
    relay_only = relay_only or config.relay_only
    try:
        return IceConfig(config.addresses, config.ports, (*config.servers, *named), relay_only=relay_only)
    except ConfigError as error:
        raise RemoteProtocolError(f"the ICE servers of this room can't be used: {error}") from error
