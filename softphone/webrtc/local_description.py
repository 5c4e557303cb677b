"""Our own offers and answers, written line by line (RFC 8866, RFC 7587, RFC 8829).

DRED travels as ``ext32-dred-duration`` (most we can use) and
``sprop-ext32-dred-duration`` (most we may send), both in milliseconds
(draft-ietf-mlcodec-opus-dred).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .fmtp import format_fmtp
from .negotiation import (
    EVENT_PAYLOAD_TYPE,
    EXTENSIONS,
    MID,
    OPUS_PAYLOAD_TYPE,
    RED_PAYLOAD_TYPE,
    LocalAudio,
    NegotiatedAudio,
)
from .remote_description import RemoteDescription
from .sdp import MediaSection

__all__ = ["LocalTransport", "StreamIdentity", "write_answer", "write_later_offer", "write_offer"]

_OFFER_PROTOCOL = "UDP/TLS/RTP/SAVPF"


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """Names under which our audio appears."""

    session: int
    """Session identifier of the ``o=`` line."""
    version: int
    """Grows with each description."""
    ssrc: int
    """Synchronisation source we send with."""
    cname: str
    """Canonical name (RFC 3550, section 6.5.1)."""
    stream: str
    """Media stream identifier (RFC 8830)."""
    track: str
    """Media track identifier (RFC 8830)."""


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Where we are and how we prove who we are."""

    ice_ufrag: str
    ice_pwd: str
    candidates: Sequence[str]
    """Values of candidate attributes."""
    fingerprints: Sequence[tuple[str, str]]
    setup: str
    """DTLS role: ``actpass`` in offers, ``active`` or ``passive`` in answers."""
    complete: bool = True
    """False when more candidates will be trickled (RFC 8838)."""


def write_offer(local: LocalAudio, identity: StreamIdentity, transport: LocalTransport, *, mid: str) -> str:
    """Write an offer with one audio section."""
    red = RED_PAYLOAD_TYPE if local.red else None
    event = EVENT_PAYLOAD_TYPE if local.telephone_event else None
    order = _order(OPUS_PAYLOAD_TYPE, red, event, red_first=local.prefer_red)
    lines = _session_lines(identity, [mid])
    lines.append(f"m=audio 9 {_OFFER_PROTOCOL} {' '.join(map(str, order))}")
    lines += _audio_lines(local, OPUS_PAYLOAD_TYPE, red, event)
    lines += [f"a=extmap:{number} {uri}" for uri, number in EXTENSIONS.items()]
    lines += [f"a=mid:{mid}", f"a={local.direction}"]
    lines += _identity_lines(identity) + _transport_lines(transport)
    return "\r\n".join(lines) + "\r\n"


def write_answer(
    local: LocalAudio,
    agreed: NegotiatedAudio,
    remote: RemoteDescription,
    identity: StreamIdentity,
    transport: LocalTransport,
) -> str:
    """Answer `remote` section by section, in its order.

    Video that shares our transport is answered ``inactive``, everything else unwanted
    is rejected with port 0.
    """
    bundled = [
        section.value("mid") or ""
        for index, section in enumerate(remote.sections)
        if index == remote.audio.index or _keeps_inactive(section, remote)
    ]
    lines = _session_lines(identity, bundled if remote.bundle else [])
    for index, section in enumerate(remote.sections):
        if index == remote.audio.index:
            lines += _audio_answer(local, agreed, remote, identity, transport)
        elif _keeps_inactive(section, remote):
            lines += _inactive_section(section, transport)
        else:
            lines += _rejected_section(section)
    return "\r\n".join(lines) + "\r\n"


def write_later_offer(
    local: LocalAudio,
    agreed: NegotiatedAudio,
    remote: RemoteDescription,
    identity: StreamIdentity,
    transport: LocalTransport,
) -> str:
    """Offer again in a session that began with the peer's offer `remote`.

    Sections, payload types and identifiers of extensions stay what they are (RFC 8829, section 5.2.2).
    """
    return write_answer(local, replace(agreed, direction=local.direction), remote, identity, transport)


def _audio_answer(
    local: LocalAudio,
    agreed: NegotiatedAudio,
    remote: RemoteDescription,
    identity: StreamIdentity,
    transport: LocalTransport,
) -> list[str]:
    red_first = local.prefer_red or agreed.red_preferred
    order = _order(agreed.opus_pt, agreed.red_pt, agreed.event_pt, red_first=red_first)
    lines = [f"m=audio 9 {remote.audio.protocol} {' '.join(map(str, order))}"]
    lines += _audio_lines(local, agreed.opus_pt, agreed.red_pt, agreed.event_pt)
    lines += [f"a=extmap:{number} {uri}" for uri, number in agreed.extensions.items()]
    if remote.audio.mid is not None:
        lines.append(f"a=mid:{remote.audio.mid}")
    lines.append(f"a={agreed.direction}")
    return lines + _identity_lines(identity) + _transport_lines(transport)


def _session_lines(identity: StreamIdentity, bundle: Sequence[str]) -> list[str]:
    lines = ["v=0", f"o=- {identity.session} {identity.version} IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if bundle:
        lines.append(f"a=group:BUNDLE {' '.join(bundle)}")
    return [*lines, "a=extmap-allow-mixed", "a=msid-semantic: WMS *"]


def _audio_lines(local: LocalAudio, opus: int, red: int | None, event: int | None) -> list[str]:
    parameters: dict[str, str | int | None] = {
        "minptime": 10,
        "useinbandfec": 1,
        "stereo": 0,
        "sprop-stereo": 0,
    }
    if local.max_average_bitrate is not None:
        parameters["maxaveragebitrate"] = local.max_average_bitrate
    parameters["usedtx"] = int(local.dtx)
    if local.dred_ms > 0:
        parameters["ext32-dred-duration"] = local.dred_ms
        parameters["sprop-ext32-dred-duration"] = local.dred_ms
    lines = [
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=rtpmap:{opus} opus/48000/2",
        f"a=fmtp:{opus} {format_fmtp(parameters)}",
    ]
    if red is not None:
        lines += [f"a=rtpmap:{red} red/48000/2", f"a=fmtp:{red} {opus}/{opus}"]
    if event is not None:
        lines += [f"a=rtpmap:{event} telephone-event/48000", f"a=fmtp:{event} 0-15"]
    return [*lines, f"a=ptime:{local.ptime}", "a=maxptime:60"]


def _order(opus: int, red: int | None, event: int | None, *, red_first: bool) -> list[int]:
    first = [opus] if red is None else [red, opus] if red_first else [opus, red]
    return first if event is None else [*first, event]


def _identity_lines(identity: StreamIdentity) -> list[str]:
    return [
        f"a=msid:{identity.stream} {identity.track}",
        f"a=ssrc:{identity.ssrc} cname:{identity.cname}",
        f"a=ssrc:{identity.ssrc} msid:{identity.stream} {identity.track}",
    ]


def _transport_lines(transport: LocalTransport) -> list[str]:
    lines = [f"a=candidate:{candidate}" for candidate in transport.candidates]
    if transport.complete:
        lines.append("a=end-of-candidates")
    lines += [
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_pwd}",
        "a=ice-options:trickle",
    ]
    lines += [f"a=fingerprint:{name} {digest}" for name, digest in transport.fingerprints]
    return [*lines, f"a=setup:{transport.setup}"]


def _keeps_inactive(section: MediaSection, remote: RemoteDescription) -> bool:
    """Tell whether the section can stay, silent, on the transport of the audio section."""
    return section.kind == "video" and not section.rejected and section.value("mid") in remote.bundle


def _inactive_section(section: MediaSection, transport: LocalTransport) -> list[str]:
    # One format must be named; the extension for tags keeps working in the whole bundle.
    number = section.formats[0]
    lines = [f"m={section.kind} 9 {section.protocol} {number}", "c=IN IP4 0.0.0.0", "a=rtcp-mux"]
    lines += [f"a=rtpmap:{value}" for value in section.values("rtpmap") if value.split(" ")[0] == number]
    lines += [f"a=extmap:{value}" for value in section.values("extmap") if value.split(" ")[-1] == MID][:1]
    lines += [f"a=mid:{section.value('mid')}", "a=inactive"]
    return lines + _transport_lines(transport)


def _rejected_section(section: MediaSection) -> list[str]:
    lines = [
        f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}",
        "c=IN IP4 0.0.0.0",
        "a=inactive",
    ]
    mid = section.value("mid")
    return lines if mid is None else [*lines, f"a=mid:{mid}"]
