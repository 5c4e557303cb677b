"""What both sides agreed on for audio, from their descriptions and, when given, their capabilities."""

from collections.abc import Mapping
from dataclasses import dataclass

from softphone.rtp.packet import OPUS_CLOCK_RATE
from softphone.sending.config import FRAME_LENGTHS_MS

from .capabilities import DRED_MAX_MS, DRED_VERSION, Capabilities
from .fmtp import integer
from .remote_description import Codec, RemoteAudio, RemoteDescription
from .sdp import DIRECTIONS, reverse_direction

__all__ = [
    "ABS_SEND_TIME",
    "AUDIO_LEVEL",
    "EVENT_PAYLOAD_TYPE",
    "EXTENSIONS",
    "MID",
    "OPUS_PAYLOAD_TYPE",
    "RED_PAYLOAD_TYPE",
    "LocalAudio",
    "NegotiatedAudio",
    "negotiate",
]

OPUS_PAYLOAD_TYPE = 111
RED_PAYLOAD_TYPE = 63
EVENT_PAYLOAD_TYPE = 110

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
EXTENSIONS: Mapping[str, int] = {MID: 1, AUDIO_LEVEL: 2, ABS_SEND_TIME: 3}
"""Header extensions we know, with the identifiers used in our offers."""


@dataclass(frozen=True, slots=True)
class LocalAudio:
    """What we ask for and promise in SDP."""

    dred_ms: int = 1000
    """Most DRED we can use and may send, in ms, 0..1040; 0: say nothing about DRED."""
    red: bool = True
    """Offer and accept RED (RFC 2198)."""
    prefer_red: bool = False
    """List RED before Opus, which makes browsers send it."""
    telephone_event: bool = True
    """Offer and accept DTMF as telephone events (RFC 4733)."""
    max_average_bitrate: int | None = 128_000
    """Most we want to receive, in bit/s, 6000..510000; None: say nothing."""
    dtx: bool = False
    """Ask the peer to stop sending in silence."""
    ptime: int = 20
    """Packet length we like to receive, in ms."""
    direction: str = "sendrecv"
    """``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive``."""


@dataclass(frozen=True, slots=True)
class NegotiatedAudio:
    """The agreement. Payload types are those to send with."""

    opus_pt: int
    """Payload type of Opus."""
    red_pt: int | None
    """Payload type of RED with Opus inside; None when the peer doesn't take it."""
    event_pt: int | None
    """Payload type of telephone events at 48 kHz; None when the peer doesn't take them."""
    receive_payload_types: Mapping[int, str]
    """What may arrive: payload type to ``opus``, ``red`` or ``telephone-event``."""
    red_preferred: bool
    """The peer lists RED before Opus."""
    peer_dred_ms: int
    """How much DRED the peer can use, in ms, 0..1040; 0: none, or not known to."""
    peer_sends_dred_ms: int
    """Most DRED the peer says it may send, in ms; 0 when it says nothing (it may send some all the same)."""
    peer_fec: bool
    """The peer's decoder uses Opus in-band FEC."""
    peer_loss_reports: bool
    """The peer understands our application-layer loss reports."""
    max_average_bitrate: int | None
    """Most the peer wants to receive, in bit/s; None when it sets no limit."""
    stereo: bool
    """The peer would like stereo."""
    cbr: bool
    """The peer asks for constant bitrate."""
    dtx: bool
    """The peer asks for discontinuous transmission."""
    max_playback_rate: int
    """Highest sampling rate the peer plays, in Hz, 8000..48000."""
    ptime: int
    """Packet length to send, in ms, one of 10, 20, 40, 60; never above `max_ptime`."""
    direction: str
    """Our direction."""
    mid: str
    """Identification tag of the section."""
    extensions: Mapping[str, int]
    """Header extensions both sides know: URI to identifier."""
    max_ptime: int = FRAME_LENGTHS_MS[-1]
    """Longest packet that may be sent, in ms, one of 10, 20, 40, 60."""

    @property
    def sends(self) -> bool:
        """Whether we may send."""
        return bool(DIRECTIONS.index(self.direction) & 1)

    @property
    def receives(self) -> bool:
        """Whether the peer may send."""
        return bool(DIRECTIONS.index(self.direction) & 2)


def negotiate(
    local: LocalAudio, remote: RemoteDescription, peer: Capabilities | None = None, *, mid: str = "0"
) -> NegotiatedAudio:
    """Combine our wishes with the peer's description and, when known, its capabilities.

    Capabilities beat format parameters for DRED and FEC in both directions: a server
    between may drop parameters it doesn't know while it forwards the packets unharmed.
    `mid` stands in when the peer gave no identification tag.
    """
    audio = remote.audio
    opus = next(c for c in audio.codecs if c.name == "opus")
    red = _red(audio, opus) if local.red else None
    event = audio.find("telephone-event", OPUS_CLOCK_RATE) if local.telephone_event else None
    max_ptime = _max_ptime(audio, opus)
    return NegotiatedAudio(
        opus_pt=opus.payload_type,
        red_pt=red.payload_type if red else None,
        event_pt=event.payload_type if event else None,
        receive_payload_types=_receive_payload_types(remote, opus, red, event),
        red_preferred=red is not None and audio.codecs.index(red) < audio.codecs.index(opus),
        peer_dred_ms=_peer_dred_ms(opus, peer),
        peer_sends_dred_ms=integer(opus.parameters, "sprop-ext32-dred-duration", 0, DRED_MAX_MS) or 0,
        peer_fec=opus.parameters.get("useinbandfec") == "1" or (peer is not None and peer.inband_fec),
        peer_loss_reports=peer is not None and peer.loss_reports,
        max_average_bitrate=integer(opus.parameters, "maxaveragebitrate", 6_000, 510_000),
        stereo=opus.parameters.get("stereo") == "1",
        cbr=opus.parameters.get("cbr") == "1",
        dtx=opus.parameters.get("usedtx") == "1",
        max_playback_rate=integer(opus.parameters, "maxplaybackrate", 8_000, 48_000) or 48_000,
        ptime=min(_ptime(audio, opus), max_ptime),
        direction=_direction(local.direction, audio.direction),
        mid=audio.mid or mid,
        extensions={uri: number for uri, number in audio.extensions.items() if uri in EXTENSIONS},
        max_ptime=max_ptime,
    )


def _red(audio: RemoteAudio, opus: Codec) -> Codec | None:
    """Find RED whose blocks are all of the chosen Opus payload type."""
    for codec in audio.codecs:
        if codec.name == "red" and codec.clock_rate == OPUS_CLOCK_RATE:
            blocks = "/".join(name for name, value in codec.parameters.items() if value is None)
            if not blocks or set(blocks.split("/")) == {str(opus.payload_type)}:
                return codec
    return None


def _receive_payload_types(
    remote: RemoteDescription, opus: Codec, red: Codec | None, event: Codec | None
) -> dict[int, str]:
    """Map the payload types that may arrive; an answerer should, but need not, use those of our offer."""
    theirs = {c.payload_type: c.name for c in (opus, red, event) if c is not None}
    if remote.kind == "offer":
        return theirs
    ours = {OPUS_PAYLOAD_TYPE: "opus"}
    if red is not None:
        ours[RED_PAYLOAD_TYPE] = "red"
    if event is not None:
        ours[EVENT_PAYLOAD_TYPE] = "telephone-event"
    return theirs | ours


def _peer_dred_ms(opus: Codec, peer: Capabilities | None) -> int:
    if peer is not None:
        return peer.dred_ms if peer.dred_version == DRED_VERSION else 0
    return integer(opus.parameters, "ext32-dred-duration", 0, DRED_MAX_MS) or 0


def _ptime(audio: RemoteAudio, opus: Codec) -> int:
    wanted = audio.ptime or integer(opus.parameters, "ptime", 1, 120) or 20
    return _packet_length(wanted)


def _max_ptime(audio: RemoteAudio, opus: Codec) -> int:
    # An attribute of the section (RFC 7587, section 7); some write it among the format parameters.
    return _packet_length(audio.max_ptime or integer(opus.parameters, "maxptime", 1, 120) or 120)


def _packet_length(most: int) -> int:
    """The longest that isn't above `most`; 10 ms where even that is."""
    return max((length for length in FRAME_LENGTHS_MS if length <= most), default=FRAME_LENGTHS_MS[0])


def _direction(local: str, remote: str) -> str:
    return DIRECTIONS[DIRECTIONS.index(local) & DIRECTIONS.index(reverse_direction(remote))]
