"""A participant that lives in the room server: the place in the room of one WHIP or WHEP session."""

import asyncio
import logging
from collections.abc import Callable

from softphone.conference import ConferenceConfig, RoomMedia, Surroundings, media_engines
from softphone.conference.events import MutedByModerator, ParticipantCame, ParticipantChanged, ParticipantWent
from softphone.conference.loudspeaker import Loudspeaker
from softphone.conference.microphone import Microphone
from softphone.conference.roster import Roster
from softphone.errors import RemoteProtocolError
from softphone.recording import Recorder
from softphone.rooms.hub import Place, RoomHub
from softphone.rooms.replies import FROM_SERVER, IceServers, Joined, Waiting
from softphone.rooms.requests import Join, Signal, Update
from softphone.rooms.values import Leaving
from softphone.signaling.errors import UnexpectedMessageError
from softphone.signaling.messages import VERSIONS, Hello, Message
from softphone.webrtc import Capabilities

from .errors import RequestRefusedError

__all__ = ["Guest"]

logger = logging.getLogger(__name__)


class Guest:
    """Speaks the protocol of rooms without a WebSocket; the `softphone.rooms.hub.Line` of its place."""

    def __init__(
        self, hub: RoomHub, config: ConferenceConfig, microphone: Microphone, loudspeaker: Loudspeaker
    ) -> None:
        self.on_over: Callable[[], None] | None = None
        """Called once when the room has no place for us any more."""
        self.muted = False
        """A moderator has muted us."""
        self._hub = hub
        self._config = config
        self._microphone = microphone
        self._loudspeaker = loudspeaker
        self._roster = Roster()
        self._media: RoomMedia | None = None
        self._place: Place | None = None
        self._early: list[Message] = []
        self._over = False

    async def enter(self, room: str, token: str, address: str, *, name: str, listens_only: bool) -> None:
        """Come in, as somebody from `address`.

        Raises :class:`softphone.errors.RemoteProtocolError`, and :class:`.errors.RequestRefusedError`
        where people have to wait to be let in.
        """
        capabilities = Capabilities.local(agent="whep" if listens_only else "whip").to_json()
        hello = Hello(versions=VERSIONS, name=name, capabilities=capabilities)
        self._place = await self._hub.enter(hello, Join(room=room, token=token), address, self)
        early, self._early = self._early, []
        for message in early:
            self._take(message)
        if self._media is None:
            self.leave()
            raise RequestRefusedError(
                403, "this room has a lobby, where nobody can wait without a page or a phone"
            )
        if listens_only:
            self._send(Update(muted=True))

    def leave(self) -> None:
        """Leave the room. Idempotent."""
        self._over = True
        place, self._place = self._place, None
        if place is not None:
            self._hub.leave(place, Leaving.HUNG_UP)

    async def close(self) -> None:
        """Leave, and close every connection with others."""
        self.leave()
        if self._media is not None:
            await self._media.close()

    # -- what the room tells (Line)

    def deliver(self, text: str) -> None:
        """A message of the room."""
        message = FROM_SERVER.parse(text)
        if self._place is None and not self._over:
            self._early.append(message)
        else:
            self._take(message)

    def end(self, message: Message) -> None:
        """We are out."""
        self._place = None
        if not self._over:
            self._over = True
            if self.on_over is not None:
                self.on_over()

    def _take(self, message: Message) -> None:
        media = self._media
        match message:
            case Joined():
                self._on_joined(message)
            case Waiting():
                return
            case Signal() if media is not None:
                media.on_signal(message)
            case IceServers(ice_servers=servers) if media is not None:
                media.set_ice_servers(servers)
            case _ if media is not None:
                self._dispatch(message)

    def _on_joined(self, joined: Joined) -> None:
        around = Surroundings(
            config=self._config,
            microphone=self._microphone,
            loudspeaker=self._loudspeaker,
            recorder=Recorder(),
            send=self._send,
            emit=lambda event: None,
            on_peer=lambda peer: None,
        )
        self._media = media_engines.load(joined.engine)(joined, around)
        self._dispatch(joined)

    def _dispatch(self, message: Message) -> None:
        assert self._media is not None
        for event in self._roster.apply(message, asyncio.get_running_loop().time()):
            match event:
                case ParticipantCame(person=person):
                    self._media.add(person)
                case ParticipantChanged(person=person):
                    self._media.change(person)
                case ParticipantWent(person=person):
                    self._media.remove(person)
                case MutedByModerator():
                    self.muted = True
                case _:
                    pass

    def _send(self, message: Message) -> None:
        if self._place is None:
            return
        try:
            self._hub.handle(self._place, message)
        except (UnexpectedMessageError, RemoteProtocolError) as error:
            logger.warning("the room does not take what a guest says: %s", error)
