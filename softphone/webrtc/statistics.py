"""Statistics of a connection under the names of W3C webrtc-stats.

Times and jitter are in seconds, sizes in bytes, as the W3C defines them.
"""

import dataclasses
import time
from typing import Any

from .connection import AudioConnection
from .negotiation import NegotiatedAudio
from .receiver import IncomingStream

__all__ = ["collect_statistics"]

_OWN_FIELDS = ("samples_by_source", "packets_received")


def collect_statistics(
    connection: AudioConnection, agreed: NegotiatedAudio | None, playout: object | None = None
) -> dict[str, dict[str, Any]]:
    """Return one dictionary a W3C type, by identifier.

    `playout`: a dataclass with the playout core's counters under W3C names in snake case;
    its numbers are merged into the inbound stream heard last.
    """
    now = time.time() * 1000
    entries = [_transport(connection), _candidate_pair(connection), _outbound(connection, agreed)]
    entries += [_inbound(connection, stream) for stream in connection.receiver.streams]
    if connection.receiver.streams and dataclasses.is_dataclass(playout):
        entries[-1] |= _playout(playout)
    entries += [_remote_outbound(s) for s in connection.receiver.streams if s.sender_info is not None]
    entries += _remote_inbound(connection)
    return {entry["id"]: {"timestamp": now, **entry} for entry in entries if entry}


def _transport(connection: AudioConnection) -> dict[str, Any]:
    dtls = connection.dtls
    entry: dict[str, Any] = {"id": "transport", "type": "transport"}
    for stats in dtls._get_stats().values():
        for name in ("packetsSent", "packetsReceived", "bytesSent", "bytesReceived", "iceRole", "dtlsState"):
            entry[name] = getattr(stats, name)
    return entry | {"iceState": dtls.transport.state, "selectedCandidatePairId": "candidate-pair"}


def _candidate_pair(connection: AudioConnection) -> dict[str, Any]:
    current = connection.ice.current
    pair = current.selected_pair if current is not None else None
    types = current.selected_types if current is not None else None
    if pair is None or types is None:
        return {}
    (local, local_port), (remote, remote_port) = pair
    entry: dict[str, Any] = {
        "id": "candidate-pair",
        "type": "candidate-pair",
        "state": "succeeded",
        "nominated": True,
        "localAddress": local,
        "localPort": local_port,
        "remoteAddress": remote,
        "remotePort": remote_port,
        "localCandidateType": types[0],
        "remoteCandidateType": types[1],
    }
    if connection.ice.traffic.round_trip is not None:
        entry["currentRoundTripTime"] = connection.ice.traffic.round_trip
    return entry


def _outbound(connection: AudioConnection, agreed: NegotiatedAudio | None) -> dict[str, Any]:
    sender = connection.sender
    return {
        "id": f"outbound-rtp-{sender.ssrc}",
        "type": "outbound-rtp",
        "kind": "audio",
        "ssrc": sender.ssrc,
        "mid": agreed.mid if agreed is not None else None,
        "transportId": "transport",
        "packetsSent": sender.counters.packets_sent,
        "bytesSent": sender.counters.bytes_sent,
        "active": sender.started and not sender.muted,
    }


def _inbound(connection: AudioConnection, stream: IncomingStream) -> dict[str, Any]:
    statistics = stream.statistics
    return {
        "id": f"inbound-rtp-{stream.ssrc}",
        "type": "inbound-rtp",
        "kind": "audio",
        "ssrc": stream.ssrc,
        "transportId": "transport",
        "packetsReceived": statistics.received,
        "packetsLost": statistics.lost,
        "packetsDuplicated": statistics.duplicates,
        "jitter": statistics.jitter,
        "bytesReceived": connection.receiver.counters.bytes_received,
        "kernelTimestamps": connection.ice.traffic.clock.kernel_stamps,
    }


def _remote_inbound(connection: AudioConnection) -> list[dict[str, Any]]:
    remote = connection.sender.remote_inbound
    if remote is None:
        return []
    ssrc = connection.sender.ssrc
    entry: dict[str, Any] = {
        "id": f"remote-inbound-rtp-{ssrc}",
        "type": "remote-inbound-rtp",
        "kind": "audio",
        "ssrc": ssrc,
        "localId": f"outbound-rtp-{ssrc}",
        "packetsLost": remote.packets_lost,
        "fractionLost": remote.fraction_lost,
        "jitter": remote.jitter,
    }
    if remote.round_trip is not None:
        entry["roundTripTime"] = remote.round_trip
    return [entry]


def _remote_outbound(stream: IncomingStream) -> dict[str, Any]:
    info = stream.sender_info
    assert info is not None
    return {
        "id": f"remote-outbound-rtp-{stream.ssrc}",
        "type": "remote-outbound-rtp",
        "kind": "audio",
        "ssrc": stream.ssrc,
        "localId": f"inbound-rtp-{stream.ssrc}",
        "packetsSent": info.packet_count,
        "bytesSent": info.octet_count,
    }


def _playout(playout: Any) -> dict[str, Any]:
    """Turn snake case into the camel case of the W3C; only plain numbers are taken."""
    merged = {}
    for field in dataclasses.fields(playout):
        value = getattr(playout, field.name)
        if field.name not in _OWN_FIELDS and isinstance(value, int | float):
            head, *rest = field.name.split("_")
            merged[head + "".join(word.capitalize() for word in rest)] = value
    return merged
