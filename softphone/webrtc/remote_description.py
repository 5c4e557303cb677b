"""The peer's session description: checked, cleaned and reduced to what a call needs.

Whatever a stranger may write there, what leaves this module is well formed: numbers in
their ranges, addresses that checks may be sent to, certificates of known hashes.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from softphone.errors import RemoteProtocolError

from .fmtp import Parameters, parse_fmtp
from .sdp import Attributes, MediaSection, SessionText, parse_session

__all__ = [
    "Codec",
    "DescriptionKind",
    "RemoteAudio",
    "RemoteDescription",
    "RemoteTransport",
    "clean_candidate",
    "parse_remote_description",
]

DescriptionKind = Literal["offer", "answer"]

PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP")
MAX_CANDIDATES = 32
MAX_MDNS_CANDIDATES = 4
"""Each costs a multicast question, so a peer may not ask for many."""
MAX_SSRCS = 4

_FINGERPRINT_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_SETUP = {"offer": ("actpass", "active", "passive"), "answer": ("active", "passive")}

_ICE_UFRAG = re.compile(r"[A-Za-z0-9+/=_-]{4,256}")
_ICE_PWD = re.compile(r"[A-Za-z0-9+/=_-]{22,256}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}")
_RTPMAP = re.compile(r"(\d{1,3}) +([A-Za-z0-9._-]{1,32})/(\d{1,6})(?:/(\d))?", re.ASCII)
_FMTP = re.compile(r"(\d{1,3}) +(.+)", re.ASCII)
_EXTMAP = re.compile(r"(\d{1,3})(?:/(\w+))? +(\S+).*", re.ASCII)
_SSRC = re.compile(r"(\d{1,10})(?: .*)?", re.ASCII)
_MDNS = re.compile(r"[A-Za-z0-9-]{1,63}\.local")


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of the audio section."""

    payload_type: int
    """0..63 or 96..127."""
    name: str
    """Encoding name in lower case, for instance ``opus``."""
    clock_rate: int
    """RTP clock in Hz."""
    channels: int
    """Channels of the rtpmap; 1 when not given."""
    parameters: Parameters
    """The peer's format parameters."""


@dataclass(frozen=True, slots=True)
class RemoteAudio:
    """What the peer says about the audio section we use."""

    index: int
    """Position among the media sections, from 0."""
    mid: str | None
    """Identification tag (RFC 5888); None when the peer gives none."""
    protocol: str
    """Transport protocol of its ``m=`` line."""
    direction: str
    """As seen by the peer."""
    codecs: tuple[Codec, ...]
    """In the peer's order of preference."""
    extensions: Mapping[str, int]
    """Header extensions (RFC 8285): URI to identifier 1..14."""
    ssrcs: tuple[int, ...]
    """Synchronisation sources announced, at most four."""
    ptime: int | None
    """Packet length the peer would like to receive, in ms, 1..1000; None when it doesn't say."""
    max_ptime: int | None
    """Longest packet the peer takes, in ms, 1..1000; None when it doesn't say."""

    def find(self, name: str, clock_rate: int) -> Codec | None:
        """Return the most preferred codec of that name and clock."""
        return next((c for c in self.codecs if c.name == name and c.clock_rate == clock_rate), None)


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """Where the peer is and how it proves who it is."""

    ice_ufrag: str
    ice_pwd: str
    ice_lite: bool
    candidates: tuple[str, ...]
    """Values of the usable candidate attributes, at most 32."""
    candidates_complete: bool
    """False when more will be trickled (RFC 8838)."""
    fingerprints: tuple[tuple[str, str], ...]
    """Hash name in lower case and upper-case hexadecimal digest of the DTLS certificate."""
    setup: str
    """DTLS role: ``actpass``, ``active`` or ``passive`` (RFC 8842)."""


@dataclass(frozen=True, slots=True)
class RemoteDescription:
    """A remote offer or answer that can be used."""

    kind: DescriptionKind
    audio: RemoteAudio
    transport: RemoteTransport
    sections: tuple[MediaSection, ...]
    """Every media section as received, the unwanted ones included."""
    bundle: tuple[str, ...]
    """Identification tags of the group that shares one transport (RFC 8843)."""


def parse_remote_description(text: str, kind: DescriptionKind) -> RemoteDescription:
    """Check the peer's offer or answer.

    Of several usable audio sections the first counts. Raises
    :class:`softphone.errors.RemoteProtocolError` with the reason when there is none, or
    when ICE, DTLS or RTCP multiplexing is missing or malformed.
    """
    session = parse_session(text)
    index = next((i for i, section in enumerate(session.media) if _usable(section)), None)
    if index is None:
        raise RemoteProtocolError(f"the {kind} has no audio section with Opus over DTLS-SRTP")
    section = session.media[index]
    if not section.flag("rtcp-mux"):
        raise RemoteProtocolError(f"the {kind} does not multiplex RTP and RTCP")
    bundle = _bundle(session, section)
    return RemoteDescription(
        kind, _audio(session, index), _transport(session, section, bundle, kind), session.media, bundle
    )


def clean_candidate(value: str) -> str | None:
    """Check the value of one candidate attribute (RFC 8839, section 5.1).

    Returns it reduced to the fields ICE needs, or None for what can't be used: another
    component, TCP, an impossible address or port, an unknown type.
    """
    words = value.split()
    if len(words) < 8 or words[6] != "typ" or not _TOKEN.fullmatch(words[0].replace("/", "+")):
        return None
    foundation, component, transport, priority, host, port, _, kind = words[:8]
    if component != "1" or transport.lower() != "udp" or kind not in ("host", "srflx", "prflx", "relay"):
        return None
    if not _decimal(priority, 1, 2**32 - 1) or not _decimal(port, 1, 65_535):
        return None
    if not _MDNS.fullmatch(host) and not _reachable(host):
        return None
    # aioice knows no signalled peer-reflexive candidates; to a check they are like server-reflexive ones.
    kind = "srflx" if kind == "prflx" else kind
    return f"{foundation} 1 udp {priority} {host} {port} typ {kind}"


def _usable(section: MediaSection) -> bool:
    return (
        section.kind == "audio"
        and not section.rejected
        and section.protocol in PROTOCOLS
        and any(c.name == "opus" and c.clock_rate == 48_000 for c in _codecs(section))
    )


def _bundle(session: SessionText, section: MediaSection) -> tuple[str, ...]:
    """Find the bundle group the audio section belongs to; empty when it has a transport of its own."""
    mid = section.value("mid")
    for group in session.session.values("group"):
        semantics, *mids = group.split()[: 1 + len(session.media)] or [""]
        if semantics == "BUNDLE" and mid in mids:
            return tuple(mids)
    return ()


def _audio(session: SessionText, index: int) -> RemoteAudio:
    section = session.media[index]
    mid = section.value("mid")
    if mid is not None and not _TOKEN.fullmatch(mid):
        raise RemoteProtocolError("the audio section's identification tag is malformed")
    ssrcs = [int(m[1]) for m in map(_SSRC.fullmatch, section.values("ssrc")) if m and int(m[1]) < 2**32]
    direction = section.direction or MediaSection(session.session.lines, "", 0, "", ()).direction
    return RemoteAudio(
        index=index,
        mid=mid,
        protocol=section.protocol,
        direction=direction or "sendrecv",
        codecs=tuple(_codecs(section)),
        extensions=_extensions(section, session.session),
        ssrcs=tuple(dict.fromkeys(ssrcs))[:MAX_SSRCS],
        ptime=_ptime(section.value("ptime")),
        max_ptime=_ptime(section.value("maxptime")),
    )


def _codecs(section: MediaSection) -> Iterable[Codec]:
    maps: dict[str, re.Match[str]] = {}
    for match in map(_RTPMAP.fullmatch, section.values("rtpmap")):
        if match is not None:
            maps.setdefault(match[1], match)
    parameters: dict[str, str] = {}
    for match in map(_FMTP.fullmatch, section.values("fmtp")):
        if match is not None:
            parameters.setdefault(match[1], match[2])
    for number in dict.fromkeys(section.formats):
        match = maps.get(number)
        # 64..95 would be mistaken for RTCP on a multiplexed port (RFC 5761, section 4).
        if match is None or not (0 <= int(number) < 64 or 96 <= int(number) < 128):
            continue
        yield Codec(
            payload_type=int(number),
            name=match[2].lower(),
            clock_rate=int(match[3]),
            channels=int(match[4] or 1),
            parameters=parse_fmtp(parameters.get(number, "")),
        )


def _extensions(*levels: Attributes) -> dict[str, int]:
    extensions: dict[str, int] = {}
    for level in levels:
        for match in map(_EXTMAP.fullmatch, level.values("extmap")):
            if match is None or match[2] not in (None, "sendrecv"):
                continue
            number, uri = int(match[1]), match[3]
            if 1 <= number <= 14 and uri not in extensions and number not in extensions.values():
                extensions[uri] = number
    return extensions


def _ptime(value: str | None) -> int | None:
    if value is None or not _decimal(value, 1, 1_000):
        return None
    return int(value)


def _transport(
    session: SessionText, section: MediaSection, bundle: tuple[str, ...], kind: DescriptionKind
) -> RemoteTransport:
    # A bundled section may leave its transport to the one whose tag comes first.
    tagged = next((s for s in session.media if bundle and s.value("mid") == bundle[0]), section)
    levels = (section, session.session, tagged)

    def find(name: str) -> str | None:
        return next((v for v in (level.value(name) for level in levels) if v is not None), None)

    ufrag, pwd, setup = find("ice-ufrag"), find("ice-pwd"), find("setup")
    if ufrag is None or pwd is None or not _ICE_UFRAG.fullmatch(ufrag) or not _ICE_PWD.fullmatch(pwd):
        raise RemoteProtocolError(f"the {kind} has no usable ICE credentials for audio")
    if setup is None:
        setup = "actpass" if kind == "offer" else "active"
    if setup not in _SETUP[kind]:
        raise RemoteProtocolError(f"the {kind} has the DTLS role {setup[:16]!r}, which can't be used there")
    trickle = any("trickle" in (level.value("ice-options") or "").split() for level in levels)
    complete = any(level.flag("end-of-candidates") for level in levels)
    return RemoteTransport(
        ice_ufrag=ufrag,
        ice_pwd=pwd,
        ice_lite=session.session.flag("ice-lite"),
        candidates=_candidates(section if section.value("candidate") else tagged),
        candidates_complete=complete or not trickle,
        fingerprints=_fingerprints(levels, kind),
        setup=setup,
    )


def _candidates(section: MediaSection) -> tuple[str, ...]:
    candidates: list[str] = []
    names = 0
    for candidate in filter(None, map(clean_candidate, section.values("candidate"))):
        if candidate.split()[4].endswith(".local"):
            names += 1
            if names > MAX_MDNS_CANDIDATES:
                continue
        candidates.append(candidate)
    return tuple(candidates[:MAX_CANDIDATES])


def _fingerprints(levels: Iterable[Attributes], kind: DescriptionKind) -> tuple[tuple[str, str], ...]:
    for level in levels:
        usable = {}
        for value in level.values("fingerprint"):
            name, _, digest = value.partition(" ")
            name, digest = name.lower(), digest.strip().upper()
            length = _FINGERPRINT_BYTES.get(name)
            if length is not None and re.fullmatch(rf"[0-9A-F]{{2}}(:[0-9A-F]{{2}}){{{length - 1}}}", digest):
                usable[name] = digest
        if usable:
            return tuple(usable.items())
    raise RemoteProtocolError(f"the {kind} has no usable certificate fingerprint")


def _reachable(host: str) -> bool:
    """Tell whether checks may be sent to the address: unicast, without a zone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    broadcast = host == "255.255.255.255"
    return not (address.is_multicast or address.is_unspecified or broadcast or "%" in host)


def _decimal(text: str, minimum: int, maximum: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and minimum <= int(text) <= maximum
