"""WHIP (RFC 9725) and WHEP: one HTTP request to publish into a room, or to listen to it.

:class:`WhipGateway` serves both on a room server; :class:`WhipClient` speaks to any server
that knows them.
"""

from .client import WhipClient, WhipTarget
from .gateway import WhipGateway

__all__ = ["WhipClient", "WhipGateway", "WhipTarget"]
