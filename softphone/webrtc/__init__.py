"""WebRTC: one media connection to one peer, over aiortc's ICE, DTLS and SRTP."""

from .capabilities import Capabilities
from .ice import IceConfig, IceServer
from .negotiation import LocalAudio, NegotiatedAudio
from .peer import ConnectionState, Peer, PeerConfig
from .receiver import AudioReceiver
from .sender import AudioSender

__all__ = [
    "AudioReceiver",
    "AudioSender",
    "Capabilities",
    "ConnectionState",
    "IceConfig",
    "IceServer",
    "LocalAudio",
    "NegotiatedAudio",
    "Peer",
    "PeerConfig",
]
