"""The session protocol of Janus, without sockets or clocks.

:class:`JanusProtocol` numbers requests, matches answers, keeps the session alive and
says what a message means. Time is an argument, in seconds on one monotonic scale. Every
method that sends returns the text of a frame.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from .errors import JanusError, JanusProtocolError

__all__ = [
    "Answered",
    "Event",
    "Failed",
    "HandleChanged",
    "HandleEvent",
    "HandleSignal",
    "JanusProtocol",
    "Json",
    "SessionEnded",
]

Json: TypeAlias = Mapping[str, Any]

KEEPALIVE_INTERVAL = 25.0
"""Seconds; Janus ends a session after 60 s without a request."""
MAX_MESSAGE = 1 << 20
"""Characters of one message that are read."""


class HandleSignal(StrEnum):
    """What Janus says about the media of one handle."""

    WEBRTC_UP = "webrtcup"
    """ICE and DTLS are done."""
    HANGUP = "hangup"
    """The peer connection is closed."""
    MEDIA = "media"
    """Packets began to arrive, or stopped."""
    SLOW_LINK = "slowlink"
    """Many packets are missing."""
    DETACHED = "detached"
    """The handle is gone."""


_SIGNALS = frozenset(signal.value for signal in HandleSignal)


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request has come."""

    transaction: str
    data: Json
    """``data`` of a core request, or the plug-in's data."""
    jsep: Json | None = None
    """A session description that came along, with ``type`` and ``sdp``."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A request was refused; `error` says why."""

    transaction: str
    error: JanusError


@dataclass(frozen=True, slots=True)
class HandleEvent:
    """The plug-in behind a handle tells something on its own."""

    handle: int
    data: Json
    jsep: Json | None = None


@dataclass(frozen=True, slots=True)
class HandleChanged:
    """The media of a handle has changed."""

    handle: int
    signal: HandleSignal
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Janus has ended the session; all its handles are gone."""


Event: TypeAlias = Answered | Failed | HandleEvent | HandleChanged | SessionEnded


@dataclass(slots=True)
class JanusProtocol:
    """One session."""

    token: str = field(default="", repr=False)
    """Sent along with every request, where Janus authenticates them."""
    session: int | None = None
    """Set by the answer to `create`; kept while the connection is replaced."""
    _count: int = 0
    _pending: dict[str, str] = field(default_factory=dict)
    """Open requests by transaction: what was asked."""
    _last_request: float = 0.0

    def create(self, now: float) -> tuple[str, str]:
        """Ask for a session. This and the others return transaction and text to send."""
        return self._request(now, "create")

    def claim(self, now: float) -> tuple[str, str]:
        """Take the session over to a new connection; Janus must be set up to keep it for a while."""
        return self._request(now, "claim")

    def info(self, now: float) -> tuple[str, str]:
        """Ask for the version of the server; `Answered.data` is the whole message."""
        return self._request(now, "info")

    def attach(self, plugin: str, now: float) -> tuple[str, str]:
        """Ask for a handle of a plug-in; its number is ``id`` of the answer."""
        return self._request(now, "attach", plugin=plugin)

    def detach(self, handle: int, now: float) -> tuple[str, str]:
        """Give a handle back."""
        return self._request(now, "detach", handle_id=handle)

    def message(self, handle: int, body: Json, jsep: Json | None, now: float) -> tuple[str, str]:
        """Ask the plug-in something."""
        extra: dict[str, Any] = {"handle_id": handle, "body": body}
        return self._request(now, "message", **extra, **({} if jsep is None else {"jsep": jsep}))

    def destroy(self, now: float) -> tuple[str, str]:
        """End the session."""
        return self._request(now, "destroy")

    def keepalive_due(self) -> float:
        """When `keepalive` should be sent, on the scale of ``now``."""
        return self._last_request + KEEPALIVE_INTERVAL

    def keepalive(self, now: float) -> tuple[str, str]:
        """Say that the session is in use; Janus answers with an acknowledgement, which counts as answer."""
        return self._request(now, "keepalive")

    def forget(self, transaction: str) -> None:
        """Give up waiting for an answer."""
        self._pending.pop(transaction, None)

    def receive(self, text: str) -> Event | None:
        """Say what a message means; None: nothing to do.

        Raises :class:`.errors.JanusProtocolError` for what is no message of Janus.
        """
        message = _parse(text)
        kind, transaction = message["janus"], message.get("transaction", "")
        asked = self._pending.get(transaction) if isinstance(transaction, str) else None
        if kind == "ack":
            # The acknowledgement of a plug-in's message comes before its answer.
            return self._answered(transaction, {}) if asked == "keepalive" else None
        if kind in ("success", "server_info", "event") and asked is not None:
            return self._success(transaction, message)
        if kind == "error":
            if asked is None:
                return None
            self.forget(transaction)
            return Failed(transaction, _error(message.get("error")))
        if kind == "timeout":
            self.session = None
            return SessionEnded()
        handle = message.get("sender")
        if not isinstance(handle, int):
            return None
        if kind == "event":
            return HandleEvent(handle, _plugin_data(message), _jsep(message))
        if kind in _SIGNALS:
            return HandleChanged(handle, HandleSignal(kind), str(message.get("reason", ""))[:200])
        return None

    def _request(self, now: float, kind: str, **members: Any) -> tuple[str, str]:
        self._count += 1
        transaction = str(self._count)
        self._pending[transaction] = kind
        self._last_request = now
        message = {"janus": kind, "transaction": transaction, **members}
        if self.session is not None and kind != "info":  # which belongs to no session
            message["session_id"] = self.session
        if self.token:
            message["token"] = self.token
        return transaction, json.dumps(message)

    def _answered(self, transaction: str, data: Json, jsep: Json | None = None) -> Answered:
        self.forget(transaction)
        return Answered(transaction, data, jsep)

    def _success(self, transaction: str, message: Json) -> Event:
        asked = self._pending[transaction]
        if asked == "info":
            return self._answered(transaction, message)
        if asked != "message":
            data = message.get("data", {})
            if not isinstance(data, dict):
                raise JanusProtocolError("an answer of Janus has no data")
            if asked in ("create", "attach") and not isinstance(data.get("id"), int):
                raise JanusProtocolError(f"the answer of Janus to {asked!r} has no number")
            if asked == "create":
                self.session = data["id"]
            return self._answered(transaction, data)
        data = _plugin_data(message)
        if "error_code" in data or "error" in data:
            self.forget(transaction)
            return Failed(transaction, _error({"code": data.get("error_code"), "reason": data.get("error")}))
        return self._answered(transaction, data, _jsep(message))


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_MESSAGE:
        raise JanusProtocolError(f"a message of Janus exceeds {MAX_MESSAGE} characters")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JanusProtocolError(f"a message of Janus is no JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("janus"), str):
        raise JanusProtocolError("a message of Janus is no object with a member 'janus'")
    return message


def _error(error: object) -> JanusError:
    if not isinstance(error, dict):
        error = {}
    code, reason = error.get("code"), error.get("reason")
    return JanusError(code if isinstance(code, int) else 0, str(reason or "no reason given")[:200])


def _plugin_data(message: Json) -> dict[str, Any]:
    plugin = message.get("plugindata")
    data = plugin.get("data") if isinstance(plugin, dict) else None
    return data if isinstance(data, dict) else {}


def _jsep(message: Json) -> dict[str, Any] | None:
    jsep = message.get("jsep")
    if not isinstance(jsep, dict) or not isinstance(jsep.get("sdp"), str):
        return None
    return jsep
