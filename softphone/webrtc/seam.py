"""The undocumented names of aiortc and aioice that softphone stands on, all of them.

Stock aiortc plays and sends audio through its own buffer and encoder; ours replaces
both ends, for which a few private names are unavoidable. They are listed here and
nowhere else by intent: `missing_names` checks them against the installed versions, and
a test does so for the oldest and newest supported ones.
"""

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["SEAM", "SeamName", "missing_names"]


@dataclass(frozen=True, slots=True)
class SeamName:
    """One undocumented name and why it is needed."""

    module: str
    """Module that defines it."""
    path: str
    """Attribute path inside the module; a class's instance attributes are written ``Class.name``."""
    parameters: tuple[str, ...] | None
    """Parameters it is called with, or that it calls us with; None for data and for classes."""
    used_by: str
    """Module of softphone.webrtc that uses it."""


_DTLS = "aiortc.rtcdtlstransport"
_ICE = "aioice.ice"

SEAM: tuple[SeamName, ...] = (
    # Sender and receiver speak to the DTLS transport.
    SeamName(_DTLS, "RTCDtlsTransport._register_rtp_receiver", ("receiver", "parameters"), "receiver"),
    SeamName(_DTLS, "RTCDtlsTransport._unregister_rtp_receiver", ("receiver",), "receiver"),
    SeamName(_DTLS, "RTCDtlsTransport._register_rtp_sender", ("sender", "parameters"), "sender"),
    SeamName(_DTLS, "RTCDtlsTransport._unregister_rtp_sender", ("sender",), "sender"),
    SeamName(_DTLS, "RTCDtlsTransport._send_rtp", ("data",), "writer"),
    SeamName(_DTLS, "RTCDtlsTransport._get_stats", (), "statistics"),
    SeamName(_DTLS, "RTCDtlsTransport._ssl", None, "peer"),
    # It speaks to them.
    SeamName(_DTLS, "RtpReceiver._handle_rtp_packet", ("packet", "arrival_time_ms"), "receiver"),
    SeamName(_DTLS, "RtpReceiver._handle_rtcp_packet", ("packet",), "receiver"),
    SeamName(_DTLS, "RtpReceiver._handle_disconnect", (), "receiver"),
    SeamName(_DTLS, "RtpSender._handle_rtcp_packet", ("packet",), "sender"),
    SeamName(_DTLS, "RtpSender._ssrc", None, "sender"),
    # The guard parses and routes decrypted packets itself.
    SeamName(_DTLS, "RTCDtlsTransport._handle_rtp_data", ("data", "arrival_time_ms"), "guard"),
    SeamName(_DTLS, "RTCDtlsTransport._handle_rtcp_data", ("data",), "guard"),
    SeamName(_DTLS, "RTCDtlsTransport._rtp_header_extensions_map", None, "guard"),
    SeamName(_DTLS, "RTCDtlsTransport._rtp_router", None, "guard"),
    SeamName(_DTLS, "RtpRouter.route_rtp", ("packet",), "guard"),
    SeamName(_DTLS, "RtpRouter.route_rtcp", ("packet",), "guard"),
    SeamName(_DTLS, "RtpRouter.ssrc_table", None, "guard"),
    SeamName("aiortc.rtp", "RtpPacket.parse", ("data", "extensions_map"), "guard"),
    SeamName("aiortc.rtp", "RtpPacket.serialize", ("extensions_map",), "sender"),
    SeamName("aiortc.rtp", "RtcpPacket.parse", ("data",), "guard"),
    SeamName("aiortc.rtp", "HeaderExtensionsMap.configure", ("parameters",), "sender"),
    SeamName("aiortc.rtp", "HeaderExtensionsMap.get", ("extension_profile", "extension_value"), "guard"),
    # Our ICE transport below DTLS.
    SeamName(_DTLS, "RTCDtlsTransport._set_role", ("role",), "connection"),
    SeamName(_DTLS, "RTCDtlsTransport._role", None, "peer"),
    # Own sockets, servers and restarts under aioice.
    SeamName(_ICE, "StunProtocol.datagram_received", ("data", "addr"), "ice_socket"),
    SeamName(_ICE, "StunProtocol.error_received", ("exc",), "ice_socket"),
    SeamName(_ICE, "StunProtocol.connection_lost", ("exc",), "ice_socket"),
    SeamName(_ICE, "StunProtocol.send_data", ("data", "addr"), "ice_socket"),
    SeamName(_ICE, "StunProtocol.send_stun", ("message", "addr"), "ice_socket"),
    SeamName(_ICE, "StunProtocol.request", ("request", "addr", "integrity_key", "retransmissions"),
             "ice_socket"),
    SeamName(_ICE, "StunProtocol.close", (), "ice_socket"),
    SeamName(_ICE, "get_host_addresses", ("use_ipv4", "use_ipv6"), "gathering"),
    SeamName("aioice.turn", "create_turn_endpoint",
             ("protocol_factory", "server_addr", "username", "password", "ssl", "transport"), "gathering"),
    SeamName("aioice.candidate", "candidate_foundation", None, "gathering"),
    SeamName("aioice.candidate", "candidate_priority", None, "gathering"),
    SeamName(_ICE, "CandidatePair.State", None, "ice"),
    SeamName(_ICE, "CandidatePair.task", None, "ice"),
    SeamName(_ICE, "Connection.build_request", ("pair", "nominate"), "ice"),
    SeamName(_ICE, "Connection.check_incoming", ("message", "addr", "protocol"), "ice"),
    SeamName(_ICE, "Connection.check_start_task", ("pair",), "ice"),
    SeamName(_ICE, "Connection.sort_check_list", (), "ice"),
    SeamName(_ICE, "Connection.query_consent", (), "ice"),
    SeamName(_ICE, "Connection.data_received", ("data", "component"), "ice"),
    SeamName(_ICE, "Connection._pair_remote_candidate", ("remote_candidate",), "ice"),
    SeamName(_ICE, "Connection._remote_candidates_expected", (), "ice"),
    SeamName(_ICE, "Connection._check_list", None, "ice"),
    SeamName(_ICE, "Connection._check_list_done", None, "ice"),
    SeamName(_ICE, "Connection._local_candidates", None, "ice"),
    SeamName(_ICE, "Connection._local_candidates_start", None, "ice"),
    SeamName(_ICE, "Connection._local_candidates_end", None, "ice"),
    SeamName(_ICE, "Connection._protocols", None, "ice"),
    SeamName(_ICE, "Connection._nominated", None, "ice"),
    SeamName(_ICE, "Connection._closing", None, "ice"),
)  # fmt: skip


def missing_names() -> list[str]:
    """Check `SEAM` against the installed aiortc and aioice.

    Returns one line for each name that is gone or takes other parameters; an empty
    list when softphone fits.
    """
    return [problem for name in SEAM for problem in _check(name)]


def _check(name: SeamName) -> Iterator[str]:
    full = f"{name.module}.{name.path}"
    target: object = importlib.import_module(name.module)
    owner: object = target
    for part in name.path.split("."):
        owner, target = target, getattr(target, part, None)
    if target is None:
        attribute = name.path.rpartition(".")[2]
        if name.parameters is not None or not _sets(owner, attribute):
            yield f"{full} is missing"
        return
    if name.parameters is not None:
        accepted = inspect.signature(target).parameters  # type: ignore[arg-type]
        for parameter in name.parameters:
            if parameter not in accepted:
                yield f"{full} takes no parameter {parameter!r}"


def _sets(owner: object, attribute: str) -> bool:
    """Tell whether the class declares the instance attribute or sets it."""
    if not inspect.isclass(owner):
        return False
    mangled = f"_{owner.__name__}__"
    name = f"__{attribute[len(mangled) :]}" if attribute.startswith(mangled) else attribute
    return attribute in getattr(owner, "__annotations__", {}) or f"self.{name}" in inspect.getsource(owner)
