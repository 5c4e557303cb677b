"""A TCP line between a caller and a listener that can break in several ways."""

import asyncio
import contextlib

__all__ = ["TcpRelay"]

_HOST = "127.0.0.1"


class TcpRelay:
    """Forwards what connects to it to a port of this machine; an asynchronous context manager."""

    def __init__(self, far_port: int) -> None:
        self.far_port = far_port
        """Where further connections lead."""
        self.port = 0
        self.refuses = False
        """Whether further connections are turned away."""
        self.attempts = 0
        """Connections so far, refused ones included."""
        self._writers: list[asyncio.StreamWriter] = []
        self._silent: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "TcpRelay":
        self._server = await asyncio.start_server(self._serve, _HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    @property
    def address(self) -> str:
        """HOST:PORT to connect to."""
        return f"{_HOST}:{self.port}"

    def cut(self) -> None:
        """Abort every connection there is."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def fall_silent(self) -> None:
        """Let nothing pass over the connections there are, without a word; further ones work."""
        self._silent.update(self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.attempts += 1
        if self.refuses:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(_HOST, self.far_port)
        self._writers += [writer, far_writer]
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if writer not in self._silent:
                    writer.write(data)
        writer.close()
