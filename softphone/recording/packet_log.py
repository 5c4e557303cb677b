"""Every RTP packet of a call with its time, in a file that other programs can open.

The file is a pcap with nanosecond times and raw IPv4 packets (LINKTYPE_IPV4), as
Wireshark and tshark read it. SRTP is already undone, so the packets carry invented
addresses of the documentation range 192.0.2.0/24 (RFC 5737): .1 is this phone, .2 and
up are the participants, port 5004. Each packet is one ``write`` to an unbuffered file:
a killed process loses nothing that was logged, and a torn last record is ignored.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from softphone.errors import MediaFileError
from softphone.rtp.packet import RtpPacket

__all__ = [
    "AUDIO_LEVEL_EXTENSION_ID",
    "MAX_PARTICIPANTS",
    "Direction",
    "LoggedPacket",
    "PacketLogWriter",
    "read_packet_log",
]

AUDIO_LEVEL_EXTENSION_ID = 1
"""Identifier under which the audio level of RFC 6464 stands in the logged packets."""

MAX_PARTICIPANTS = 253
"""As many as there are addresses left in the invented network."""

_MAGIC_NANOSECONDS = 0xA1B23C4D
_LINKTYPE_IPV4 = 228
_SNAPLEN = 65535
_PORT = 5004
_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD_HEADER = struct.Struct("<IIII")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_RTP = struct.Struct("!BBHII")
_NETWORK = bytes((192, 0, 2))
_PROTOCOL_UDP = 17


class Direction(StrEnum):
    """Which way a logged packet went, seen from this phone."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class LoggedPacket:
    """One packet read back."""

    direction: Direction
    """Sent by this phone, or received by it."""
    participant: int
    """Index of the participant it came from, 0..252; 0 for sent packets."""
    time: float
    """When it was sent or arrived, Unix time in seconds."""
    packet: RtpPacket
    """The packet. Of a sent one, sequence number and SSRC are the log's own."""


class PacketLogWriter:
    """Appends packets to a new pcap file. Not thread-safe; every method may raise OSError."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        header = _FILE_HEADER.pack(_MAGIC_NANOSECONDS, 2, 4, 0, 0, _SNAPLEN, _LINKTYPE_IPV4)
        self._write(header)

    def write(self, direction: Direction, packet: RtpPacket, time_ns: int, participant: int = 0) -> None:
        """Append one packet seen at ``time_ns`` (Unix time, nanoseconds).

        ``participant`` is 0..252. Raises ValueError for others, OSError when the disk
        does not take the bytes.
        """
        if not 0 <= participant < MAX_PARTICIPANTS:
            raise ValueError(f"participant {participant} is not in 0..{MAX_PARTICIPANTS - 1}")
        here, there = _NETWORK + b"\x01", _NETWORK + bytes((participant + 2,))
        source, destination = (here, there) if direction is Direction.SENT else (there, here)
        datagram = _to_ipv4(_to_rtp(packet), source, destination)
        seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
        self._write(_RECORD_HEADER.pack(seconds, nanoseconds, len(datagram), len(datagram)) + datagram)

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        if self._file.write(data) != len(data):
            raise OSError("the disk took only part of a packet; is it full?")


def read_packet_log(path: Path) -> Iterator[LoggedPacket]:
    """Yield the packets of a log in the order in which they were written.

    A torn record at the end (the recorder was killed) ends the iteration quietly.
    Raises :class:`softphone.errors.MediaFileError` when the file can't be read or is
    no packet log.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaFileError(f"can't read the packet log {path}: {error.strerror}") from error
    if len(data) < _FILE_HEADER.size:
        raise MediaFileError(f"{path} is no packet log: it is too short")
    magic, *_, linktype = _FILE_HEADER.unpack_from(data)
    if magic != _MAGIC_NANOSECONDS or linktype != _LINKTYPE_IPV4:
        raise MediaFileError(f"{path} is no packet log of softphone (pcap, nanoseconds, raw IPv4)")
    position = _FILE_HEADER.size
    while position + _RECORD_HEADER.size <= len(data):
        seconds, nanoseconds, captured, _ = _RECORD_HEADER.unpack_from(data, position)
        position += _RECORD_HEADER.size
        datagram = data[position : position + captured]
        position += captured
        if len(datagram) < captured:
            return
        source, destination, rtp = _from_ipv4(datagram, path)
        sent = source == 1
        yield LoggedPacket(
            direction=Direction.SENT if sent else Direction.RECEIVED,
            participant=(destination if sent else source) - 2,
            time=seconds + nanoseconds * 1e-9,
            packet=_from_rtp(rtp, path),
        )


def _to_rtp(packet: RtpPacket) -> bytes:
    extension = b""
    if packet.audio_level is not None:
        # One-byte form of RFC 8285: identifier, length minus one; then padding to 32 bits.
        element = bytes((AUDIO_LEVEL_EXTENSION_ID << 4, packet.audio_level & 0x7F, 0, 0))
        extension = struct.pack("!HH", 0xBEDE, 1) + element
    header = _RTP.pack(
        0x80 | (0x10 if extension else 0),
        (0x80 if packet.marker else 0) | packet.payload_type,
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
    )
    return header + extension + packet.payload


def _from_rtp(data: bytes, path: Path) -> RtpPacket:
    if len(data) < _RTP.size:
        raise MediaFileError(f"{path} holds a record that is no RTP packet")
    flags, marked_type, sequence_number, timestamp, ssrc = _RTP.unpack_from(data)
    payload, audio_level = data[_RTP.size :], None
    if flags & 0x10:
        if len(payload) < 8:
            raise MediaFileError(f"{path} holds a torn RTP header extension")
        audio_level, payload = payload[5] & 0x7F, payload[8:]
    return RtpPacket(
        payload_type=marked_type & 0x7F,
        sequence_number=sequence_number,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=payload,
        marker=bool(marked_type & 0x80),
        audio_level=audio_level,
    )


def _to_ipv4(payload: bytes, source: bytes, destination: bytes) -> bytes:
    length = _UDP.size + len(payload)
    # A UDP checksum of zero means "none" over IPv4 (RFC 768).
    udp = _UDP.pack(_PORT, _PORT, length, 0)
    fields = (0x45, 0, _IPV4.size + length, 0, 0, 64, _PROTOCOL_UDP, 0, source, destination)
    words = struct.unpack("!10H", _IPV4.pack(*fields))
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return _IPV4.pack(*fields[:7], checksum, source, destination) + udp + payload


def _from_ipv4(datagram: bytes, path: Path) -> tuple[int, int, bytes]:
    """Return the last byte of the source and of the destination, and the UDP payload."""
    start = _IPV4.size + _UDP.size
    if len(datagram) < start or datagram[0] != 0x45 or datagram[9] != _PROTOCOL_UDP:
        raise MediaFileError(f"{path} holds a record that softphone did not write")
    if datagram[12:15] != _NETWORK or datagram[16:19] != _NETWORK:
        raise MediaFileError(f"{path} holds a packet with foreign addresses")
    return datagram[15], datagram[19], datagram[start:]
