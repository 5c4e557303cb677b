"""The life of a connection, as data.

state         what it means                                        leads to
------------  ---------------------------------------------------  ----------------------------
new           nothing was agreed yet                               connecting, failed, closed
connecting    ICE looks for a path, or DTLS shakes hands           connected, failed, closed
connected     audio can flow                                       reconnecting, failed, closed
reconnecting  the path is dead and a new one is looked for         connected, failed, closed
failed        no path, or the peer is not who it claims to be      closed
closed        ended by either side
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["TRANSITIONS", "ConnectionState"]


class ConnectionState(StrEnum):
    """Where a connection stands."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    CLOSED = "closed"

    @property
    def over(self) -> bool:
        """Whether no audio will flow any more."""
        return self in (ConnectionState.FAILED, ConnectionState.CLOSED)


_OVER: Final = frozenset({ConnectionState.FAILED, ConnectionState.CLOSED})

TRANSITIONS: Final[Mapping[ConnectionState, frozenset[ConnectionState]]] = MappingProxyType(
    {
        ConnectionState.NEW: _OVER | {ConnectionState.CONNECTING},
        ConnectionState.CONNECTING: _OVER | {ConnectionState.CONNECTED},
        ConnectionState.CONNECTED: _OVER | {ConnectionState.RECONNECTING},
        ConnectionState.RECONNECTING: _OVER | {ConnectionState.CONNECTED},
        ConnectionState.FAILED: frozenset({ConnectionState.CLOSED}),
        ConnectionState.CLOSED: frozenset(),
    }
)
