"""Packets leave at once, in order, and nothing a transport does escapes."""

import asyncio
from collections.abc import Callable

import pytest

from softphone.webrtc.writer import MAX_WAITING, PacketWriter


class Transport:
    """Takes packets as the DTLS transport does; ``hold`` decides which of them wait."""

    def __init__(self, hold: Callable[[bytes], asyncio.Future[None] | None] = lambda packet: None) -> None:
        self.sent: list[bytes] = []
        self._hold = hold

    async def _send_rtp(self, packet: bytes) -> None:
        future = self._hold(packet)
        if future is not None:
            await future
        if packet.startswith(b"bad"):
            raise ValueError(packet)
        if packet.startswith(b"gone"):
            raise ConnectionError
        self.sent.append(packet)


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_packets_leave_before_write_returns() -> None:
    transport = Transport()
    writer = PacketWriter(transport)
    for packet in numbered(5):
        writer.write(packet)
        assert transport.sent[-1] == packet


async def test_order_holds_when_a_packet_has_to_wait() -> None:
    gate = asyncio.get_running_loop().create_future()
    transport = Transport(lambda packet: gate if packet == b"1" else None)
    writer = PacketWriter(transport)
    for packet in numbered(5):
        writer.write(packet)
    assert transport.sent == [b"0"]
    gate.set_result(None)
    await writer.close()
    assert transport.sent == numbered(5)
    writer.write(b"after")
    assert transport.sent[-1] == b"after"


async def test_a_packet_may_wait_more_than_once() -> None:
    async def twice() -> None:
        await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)

    class Slow(Transport):
        async def _send_rtp(self, packet: bytes) -> None:
            await twice()
            await super()._send_rtp(packet)

    transport = Slow()
    writer = PacketWriter(transport)
    for packet in numbered(3):
        writer.write(packet)
    await writer.close()
    assert transport.sent == numbered(3)


@pytest.mark.parametrize("bad", [b"bad", b"gone"])
async def test_failures_are_counted_wherever_they_happen(bad: bytes) -> None:
    loop = asyncio.get_running_loop()
    gate = loop.create_future()
    transport = Transport(lambda packet: gate if packet.endswith(b"late") else None)
    writer = PacketWriter(transport)
    for packet in (bad, b"0", bad + b"late", b"1", bad, b"2"):
        writer.write(packet)
    loop.call_later(0.01, gate.set_result, None)
    await writer.close()
    assert transport.sent == [b"0", b"1", b"2"]
    assert writer.failed == 3


async def test_an_exception_of_the_future_is_counted() -> None:
    gate = asyncio.get_running_loop().create_future()
    transport = Transport(lambda packet: gate if packet == b"0" else None)
    writer = PacketWriter(transport)
    writer.write(b"0")
    gate.set_exception(OSError("network is down"))
    await writer.close()
    assert writer.failed == 1


async def test_the_queue_is_bounded_and_closing_does_not_wait_for_ever() -> None:
    gate = asyncio.get_running_loop().create_future()
    writer = PacketWriter(Transport(lambda packet: gate))
    for packet in numbered(MAX_WAITING + 11):
        writer.write(packet)
    assert writer.dropped == 10
    await asyncio.wait_for(writer.close(), 5)
