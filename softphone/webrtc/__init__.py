"""WebRTC: one media connection to one peer, over aiortc's DTLS and SRTP and aioice's ICE."""

from .capabilities import Capabilities
from .gathering import ServerFailure
from .ice_config import IceConfig, IceServer
from .negotiation import LocalAudio, NegotiatedAudio
from .path_watch import PathWatchConfig
from .peer import OfferCollisionError, Peer, PeerConfig
from .receiver import AudioReceiver
from .reconnection import ReconnectConfig
from .sender import AudioSender
from .states import ConnectionState

__all__ = [
    "AudioReceiver",
    "AudioSender",
    "Capabilities",
    "ConnectionState",
    "IceConfig",
    "IceServer",
    "LocalAudio",
    "NegotiatedAudio",
    "OfferCollisionError",
    "PathWatchConfig",
    "Peer",
    "PeerConfig",
    "ReconnectConfig",
    "ServerFailure",
]
