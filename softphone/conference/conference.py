"""A room, seen from one phone: one microphone, one loudspeaker, everybody else.

::

    conference = Conference(RoomLink.parse("https://talk.example.org/r/standup#TOKEN"))
    await conference.join()
    async for event in conference:
        print(event)

Signalling that breaks is restored by itself; the audio between the participants does not
need it. We are out when we leave, when the server says so, and when sound can't be started.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from softphone.conference.config import ConferenceConfig
from softphone.conference.equipment import Equipment
from softphone.conference.events import (
    ConferenceEvent,
    ConferenceOver,
    Event,
    InLobby,
    MutedByModerator,
    ParticipantCame,
    ParticipantChanged,
    ParticipantWent,
    SignalingLost,
    SpeakerChanged,
)
from softphone.conference.levels import ActiveSpeaker
from softphone.conference.media import RoomMedia, Surroundings, make_media
from softphone.conference.requests import RoomRequests
from softphone.conference.roster import Roster
from softphone.conference.statistics import ConferenceStatistics
from softphone.errors import LocalError, RemoteProtocolError
from softphone.rooms.client import ConnectionLost, Over, RoomClient, RoomEvent
from softphone.rooms.link import RoomLink
from softphone.rooms.replies import IceServers, Joined, Waiting
from softphone.rooms.requests import Signal, Update
from softphone.signaling.errors import CallStateError
from softphone.webrtc import Capabilities, Peer

__all__ = ["Conference"]

_LOG = logging.getLogger(__name__)

_TICK: Final = 0.1
_CLOSE_TIMEOUT: Final = 6.0
"""For each part that is closed; they are closed side by side."""
_MAX_EVENTS: Final = 1024


class Conference:
    """Our place in one room. Use it on a running event loop; once per object.

    ``async for event in conference`` tells what happens and ends after `ConferenceOver`.
    """

    def __init__(
        self,
        link: RoomLink,
        config: ConferenceConfig | None = None,
        *,
        on_peer: Callable[[Peer], None] = lambda peer: None,
    ) -> None:
        """`on_peer` is called with each new connection before it is used, for instance to put an
        emulated network under it (:attr:`softphone.webrtc.Peer.outgoing_hook`)."""
        self.link = link
        self.config = config or ConferenceConfig()
        self.roster = Roster()
        """Who is here, who waits, and what the rules are."""
        self._client = RoomClient(
            link,
            name=self.config.name,
            capabilities={**Capabilities.local().to_json(), "policy": self.config.policy},
            trust=self.config.trust,
        )
        self.room = RoomRequests(self._client.send)
        """What one can ask of the room."""
        self._on_peer = on_peer
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[ConferenceEvent] = asyncio.Queue()
        self._verdict: asyncio.Future[ConferenceOver] = self._loop.create_future()
        self._ended: asyncio.Future[ConferenceOver] = self._loop.create_future()
        self._told_over = False
        self._began: float | None = None
        self._speaker = ActiveSpeaker()
        self._equipment: Equipment | None = None
        self._media: RoomMedia | None = None
        self._last_statistics: ConferenceStatistics | None = None
        self._last_webrtc: Mapping[str, Mapping[str, dict[str, Any]]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._run_task: asyncio.Task[None] | None = None

    # -- what to know

    @property
    def over(self) -> ConferenceOver | None:
        """How it ended; None before."""
        return self._ended.result() if self._ended.done() else None

    @property
    def speaker(self) -> str | None:
        """Id of whoever spoke last; None before anybody has."""
        return self._speaker.speaker

    @property
    def muted(self) -> bool:
        """Whether our microphone is off."""
        return self._equipment.microphone.muted if self._equipment is not None else self.config.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        if self._equipment is None:
            raise CallStateError("join the room first")
        self._equipment.microphone.muted = muted
        self._client.send(Update(muted=muted))

    def statistics(self) -> ConferenceStatistics:
        """A snapshot, cheap enough for several a second; when we are out, the last one."""
        if self._last_statistics is not None:
            return self._last_statistics
        if self._equipment is None or self._media is None:
            return ConferenceStatistics(muted=self.muted)
        microphone, media = self._equipment.microphone, self._media
        return ConferenceStatistics(
            duration=time.monotonic() - self._began if self._began is not None else 0.0,
            participants=tuple(
                media.statistics(person, speaking=peer == self._speaker.speaker)
                for peer, person in self.roster.people.items()
            ),
            level=microphone.meter.level(self._loop.time()),
            muted=microphone.muted,
            signaling_lost=not self._client.connected,
            plan=microphone.pipeline.plan,
            worst_peer=microphone.worst_peer,
            sending=microphone.pipeline.statistics,
            warnings=self._equipment.warnings,
        )

    def webrtc_statistics(self) -> Mapping[str, Mapping[str, dict[str, Any]]]:
        """W3C webrtc-stats by identifier, by id of the participant; when we are out, the last ones."""
        if self._last_webrtc is not None:
            return self._last_webrtc
        return self._media.webrtc_statistics() if self._media is not None else {}

    # -- what to do

    async def join(self) -> None:
        """Open the audio and enter; returns once we are in the room or in its lobby.

        Raises :class:`softphone.errors.LocalError` when something is wrong here,
        :class:`softphone.signaling.CallRefusedError` when we are not let in and
        :class:`softphone.errors.RemoteError` of other kinds when the server can't be reached.
        """
        if self._equipment is not None:
            raise CallStateError("a room is joined once; make another object to come back")
        async with AsyncExitStack() as stack:
            self._equipment = await Equipment.open(self.config, self.link.room)
            stack.push_async_callback(self._equipment.stop)
            reply = await self._client.connect()
            stack.push_async_callback(self._client.leave)
            self._take(reply)
            stack.pop_all()
        self._run_task = asyncio.create_task(self._run(self._equipment))

    async def leave(self) -> ConferenceOver:
        """Say goodbye, and return once everything is closed, within seconds. Idempotent."""
        if self._run_task is None:
            raise CallStateError("join the room first")
        self._decide(ConferenceOver("left", ""))
        return await self.closed()

    async def closed(self) -> ConferenceOver:
        """Wait until we are out, and return how it ended."""
        return await asyncio.shield(self._ended)

    def set_volume(self, peer: str, volume: float) -> None:
        """Play somebody at that volume, 0 to 4, for ourselves. Raises `ConfigError`."""
        if self._media is None:
            raise CallStateError("nobody is heard yet")
        self._media.set_volume(peer, volume)

    def __aiter__(self) -> "Conference":
        return self

    async def __anext__(self) -> ConferenceEvent:
        if self._told_over:
            raise StopAsyncIteration
        event = await self._events.get()
        self._told_over = isinstance(event, ConferenceOver)
        return event

    # -- how it lives

    async def _run(self, equipment: Equipment) -> None:
        over = ConferenceOver("left", "")
        self._spawn(self._listen())
        self._spawn(self._tick())
        try:
            over = await self._verdict
        finally:
            self._last_webrtc = self.webrtc_statistics()
            self._last_statistics = self.statistics()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(
                _bounded(self._client.leave(), "the signalling connection"),
                _bounded(equipment.stop(), "the audio"),
                *([_bounded(self._media.close(), "the media connections")] if self._media else []),
            )
            self._ended.set_result(over)
            self._events.put_nowait(over)

    async def _listen(self) -> None:
        async for event in self._client:
            self._take(event)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = self._loop.time()
            if self._media is not None:
                before = self._speaker.speaker
                speaker = self._speaker.update(self._media.levels(now), now)
                if speaker != before:
                    self._emit(SpeakerChanged(speaker))
            expiry = self.roster.next_expiry
            if expiry is not None and expiry <= now:
                self._dispatch(self.roster.expire(now))

    async def _start_audio(self, equipment: Equipment) -> None:
        try:
            await equipment.start()
        except LocalError as error:
            self._decide(ConferenceOver("device", str(error)))

    def _take(self, event: RoomEvent) -> None:
        match event:
            case Joined():
                self._on_joined(event)
            case Waiting(message=message):
                self._emit(InLobby(message))
            case Signal():
                if self._media is not None:
                    self._media.on_signal(event)
            case IceServers(ice_servers=servers):
                if self._media is not None:
                    self._media.set_ice_servers(servers)
            case ConnectionLost(message=message, retry_in=retry_in):
                if self._media is not None:
                    self._media.set_signaling(None)
                self._emit(SignalingLost(message, retry_in))
            case Over(reason=reason, message=message):
                self._decide(ConferenceOver(reason, message))
            case _:
                self._dispatch(self.roster.apply(event, self._loop.time()))

    def _on_joined(self, joined: Joined) -> None:
        equipment = self._equipment
        assert equipment is not None
        same = joined.id == self.roster.own.id
        news = self.roster.apply(joined, self._loop.time())
        if same and self._media is not None:
            self._media.set_signaling(joined)
        else:
            if self._media is not None:
                self._spawn(_bounded(self._media.close(), "the media connections"))
            self._media = self._make_media(joined, equipment)
        first = self._began is None
        if first:
            self._began = time.monotonic()
            self._spawn(self._start_audio(equipment))
        muted, recording = equipment.microphone.muted, self.config.record is not None
        # What was changed while we were away, the room does not know.
        if muted or recording or not first:
            self._client.send(Update(muted=muted, recording=recording))
        self._dispatch(news)

    def _make_media(self, joined: Joined, equipment: Equipment) -> RoomMedia:
        around = Surroundings(
            config=self.config,
            microphone=equipment.microphone,
            loudspeaker=equipment.loudspeaker,
            recorder=equipment.recorder,
            send=self._client.send,
            emit=self._emit,
            on_peer=self._on_peer,
        )
        return make_media(joined, around)

    def _dispatch(self, news: list[Event]) -> None:
        media = self._media
        for event in news:
            match event:
                case ParticipantCame(person=person) if media is not None:
                    media.add(person)
                case ParticipantChanged(person=person) if media is not None:
                    media.change(person)
                case ParticipantWent(person=person) if media is not None:
                    media.remove(person)
                case MutedByModerator() if self._equipment is not None:
                    self._equipment.microphone.muted = True
            self._emit(event)

    def _decide(self, over: ConferenceOver) -> None:
        """We are to leave, for this reason; the first one counts."""
        if not self._verdict.done():
            self._verdict.set_result(over)

    def _emit(self, event: ConferenceEvent) -> None:
        # A busy room must not fill the memory of a program that doesn't listen.
        if self._events.qsize() < _MAX_EVENTS:
            self._events.put_nowait(event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            if not isinstance(error, RemoteProtocolError):
                _LOG.error("a part of the conference failed", exc_info=error)
            self._decide(ConferenceOver("error", str(error) or "internal error"))


async def _bounded(closing: Coroutine[Any, Any, object], what: str) -> None:
    """Await what must not keep us from leaving."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await closing
    except TimeoutError:
        _LOG.warning("closing %s took longer than %g s", what, _CLOSE_TIMEOUT)
    except Exception:
        _LOG.exception("closing %s failed", what)
