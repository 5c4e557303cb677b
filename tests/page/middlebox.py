"""A box between two browsers that can stop forwarding: it puts itself into their ICE candidates."""

import asyncio
import json
import re
from typing import Any

_CANDIDATE = re.compile(r"(candidate:\S+ \d+ )(\S+)( \d+ )(\S+) (\d+)( .*)", re.DOTALL)

Address = tuple[str, int]


class Middlebox:
    """Forwards UDP between one page and the others, for as long as its paths are open."""

    def __init__(self) -> None:
        self.refused = 0
        """Packets that met a blocked path."""
        self._doors: dict[Address, _Door] = {}
        self._blocked: set[_Door] = set()

    async def attach(self, page: Any) -> None:
        """Stand between `page`, which is not loaded yet, and its room server."""
        await page.route_web_socket(re.compile(".*/ws"), self._on_socket)

    def block(self) -> None:
        """Drop everything on the paths there are; those of candidates yet to come are open."""
        self._blocked = set(self._doors.values())

    def close(self) -> None:
        """Close the sockets."""
        for door in self._doors.values():
            door.transport.close()

    def _on_socket(self, socket: Any) -> None:
        server = socket.connect_to_server()
        for end, other in ((socket, server), (server, socket)):
            end.on_message(lambda text, other=other: self._pass(text, other))

    async def _pass(self, text: str, to: Any) -> None:
        message = json.loads(text)
        if message.get("kind") == "candidate" and message["candidate"]:
            changed = await self._divert(message["candidate"])
            if changed is None:
                return
            message["candidate"] = changed
        to.send(json.dumps(message))

    async def _divert(self, candidate: str) -> str | None:
        match = _CANDIDATE.fullmatch(candidate)
        assert match is not None, candidate
        head, transport, priority, host, port, tail = match.groups()
        if transport.lower() != "udp" or ":" in host:
            return None
        address = (host, int(port))
        if address not in self._doors:
            loop = asyncio.get_running_loop()
            _, door = await loop.create_datagram_endpoint(lambda: _Door(self, address), (host, 0))
            self._doors[address] = door
        public = self._doors[address].transport.get_extra_info("sockname")[1]
        return f"{head}{transport}{priority}{host} {public}{tail}"

    def forward(self, door: "_Door", data: bytes, sender: Address) -> None:
        """What came in at `door` leaves at the door of its sender, to whom `door` belongs."""
        back = self._doors.get(sender)
        if door in self._blocked or back in self._blocked:
            self.refused += 1
        elif back is not None:
            back.transport.sendto(data, door.owner)


class _Door(asyncio.DatagramProtocol):
    """Stands for the candidate of `owner`."""

    transport: asyncio.DatagramTransport

    def __init__(self, box: Middlebox, owner: Address) -> None:
        self.owner = owner
        self._box = box

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._box.forward(self, data, addr[:2])
