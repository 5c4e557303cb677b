"""The whole product at once: two softphones and a browser in a room, on lines that lose 20 %.

Everything is real: the room server, ICE, DTLS-SRTP, Opus with its redundancy, playout, the page in Chromium,
Janus. Only the microphones and loudspeakers are files, and the network is a process in user space.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from softphone.conference import Conference
from softphone.conference.events import (
    ChatLine,
    MutedByModerator,
    ParticipantWent,
    SignalingLost,
    SignalingRestored,
)
from softphone.rooms.values import Leaving, RoomRole
from tests.conference.rooms import Pcm, heard_share
from tests.page.browsers import CONNECTED, Visitor
from tests.rooms_whole.lossy_room import Lateness, LossyRoom, OnPage, OnPhone, connected, until
from tests.support.browser import browser_obstacle
from tests.support.janus_server import missing_for_janus
from tests.support.namespaces import obstacle

FOUND, FOUND_LIKENESS = 0.5, 0.75
"""Share of somebody's words that are found in what another heard, and how like they must be:
what is repaired isn't the same."""
ABSENT, ABSENT_LIKENESS = 0.45, 0.8
"""The same for who isn't heard: the words of others are like his here and there."""
PATIENCE = 5
"""Times 8 s in which everybody's words must have been heard."""


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LossyRoom]:
    if reason := obstacle() or browser_obstacle():
        pytest.skip(reason)
    async with contextlib.AsyncExitStack() as stack:
        yield LossyRoom(tmp_path, stack)


@pytest.mark.parametrize("janus_servers", [0, 1, 2], ids=["mesh", "janus", "two-janus"])
async def test_a_meeting(room: LossyRoom, janus_servers: int) -> None:
    lateness = Lateness()
    watching = asyncio.create_task(lateness.watch())
    try:
        await meet(room, janus_servers)
    except AssertionError as error:
        if lateness.void:
            pytest.skip(f"{lateness.void}, and {error}")
        raise
    finally:
        watching.cancel()


async def meet(room: LossyRoom, janus_servers: int) -> None:
    if janus_servers:
        if missing := missing_for_janus():
            pytest.skip(missing)
        room.add_janus(janus_servers)
    await room.serve()
    alice = await room.phone("Alice", 0, RoomRole.MODERATOR)
    bob = await room.phone("Bob", 1)
    await connected(alice, bob, others=1)
    carol = await room.page("Carol", 2)  # comes late
    await all_connected(alice, bob, carol)
    await all_hear_all(alice, bob, carol)
    await they_write(alice, bob, carol)
    await the_moderator_mutes(alice, bob, carol)
    await the_page_is_reloaded(alice, bob, carol)
    await the_server_restarts(room, alice, bob, carol)
    await one_leaves(alice, bob, carol)
    await one_is_removed(alice, carol)
    lost = room.link.report().lost
    assert all(lost[f"{name} {way}"] > 20 for name in ("alice", "bob", "carol") for way in ("up", "down"))


async def all_connected(alice: OnPhone, bob: OnPhone, carol: OnPage) -> None:
    await connected(alice, bob, others=2)
    await carol.on_page(lambda page: page.sees("Alice", "Bob", state=CONNECTED))


async def all_hear_all(alice: OnPhone, bob: OnPhone, carol: OnPage) -> None:
    people = alice, bob, carol
    for listener, heard in zip(
        people, await asyncio.gather(*(hears(person, *people) for person in people)), strict=True
    ):
        assert absent(listener, heard), f"{listener.name} hears himself"


async def hears(listener: OnPhone | OnPage, *people: OnPhone | OnPage) -> Pcm:
    """Wait until the words of all these, but for his own, have been heard by `listener`; all that he heard.

    Words may fall into a loss that nothing repairs, or together with those of another, and come again.
    """
    heard = np.zeros(0, np.float32)
    shares = dict.fromkeys((speaker.name for speaker in people if speaker is not listener), 0.0)
    for _ in range(PATIENCE):
        heard = np.concatenate((heard, await listener.listen(8.0)))
        shares = {
            speaker.name: round(heard_share(speaker.said, heard, likeness=FOUND_LIKENESS), 2)
            for speaker in people
            if speaker is not listener
        }
        print(f"{listener.name} hears {shares}")
        if min(shares.values()) >= FOUND:
            return heard
    raise AssertionError(f"{listener.name} hears too little: {shares}")


def absent(person: OnPhone | OnPage, heard: Pcm) -> bool:
    """Whether the words of a person are not in this."""
    return heard_share(person.said, heard, likeness=ABSENT_LIKENESS) < ABSENT


async def they_write(alice: OnPhone, bob: OnPhone, carol: OnPage) -> None:
    async def write(page: Visitor) -> None:
        await page.page.get_by_text("Can you hear me?", exact=True).first.wait_for(state="attached")
        await page.page.fill("#chat-text", "Yes, in spite of everything")
        await page.page.press("#chat-text", "Enter")

    await bob.do(lambda conference: conference.room.say("Can you hear me?"))
    await carol.on_page(write)
    for phone in (alice.phone, bob.phone):
        await until(lambda: len(phone.told(ChatLine)) == 2, what="both lines")  # noqa: B023
        lines = [(line.name, line.text) for line in phone.told(ChatLine)]
        assert lines == [("Bob", "Can you hear me?"), ("Carol", "Yes, in spite of everything")]


async def the_moderator_mutes(alice: OnPhone, bob: OnPhone, carol: OnPage) -> None:
    async def sees_microphone_of_bob(page: Visitor, state: str) -> None:
        sign = page.card("Bob").get_by_role("img", name="Microphone is off")
        await sign.wait_for(state=state)

    await alice.do(lambda conference: conference.room.mute(bob.phone.id))
    await until(lambda: bob.phone.told(MutedByModerator), what="word of the moderator")
    await carol.on_page(lambda page: sees_microphone_of_bob(page, "visible"))
    await asyncio.sleep(1.5)  # what was on its way is heard out
    heard, voices = await asyncio.gather(hears(alice, carol), carol.voices(8.0))
    assert absent(bob, heard)
    # Listeners silence him too. What comes to the page is looked at before that: he must send nothing.
    assert voices == 1, "Bob speaks on, whose microphone is off"
    await bob.do(unmute)
    await carol.on_page(lambda page: sees_microphone_of_bob(page, "hidden"))


def unmute(conference: Conference) -> None:
    conference.muted = False


async def the_page_is_reloaded(alice: OnPhone, bob: OnPhone, carol: OnPage) -> None:
    async def reload(page: Visitor) -> None:
        await page.page.reload()
        await page.page.wait_for_selector("#room-view:not([hidden])")

    before = alice.phone.conference.roster.people.keys()
    await carol.on_page(reload)
    await all_connected(alice, bob, carol)
    assert alice.phone.conference.roster.people.keys() == before, "the same participant"
    assert not alice.phone.told(ParticipantWent)
    await asyncio.gather(hears(alice, carol), hears(carol, alice, bob))


async def the_server_restarts(room: LossyRoom, alice: OnPhone, bob: OnPhone, carol: OnPage) -> None:
    people = {phone.name: dict(phone.phone.conference.roster.people) for phone in (alice, bob)}
    await room.stop()
    await until(lambda: alice.phone.told(SignalingLost) and bob.phone.told(SignalingLost), what="loss")
    await hears(alice, bob, carol)  # nobody needs the server for that
    await room.serve()
    for phone in (alice, bob):
        await until(lambda: phone.phone.told(SignalingRestored), 30.0, "the way back")  # noqa: B023
    await all_connected(alice, bob, carol)
    for phone in (alice, bob):
        assert phone.phone.conference.roster.people.keys() == people[phone.name].keys()
        assert not phone.phone.told(ParticipantWent)
    await all_hear_all(alice, bob, carol)


async def one_leaves(alice: OnPhone, bob: OnPhone, carol: OnPage) -> None:
    await bob.place.run(bob.phone.conference.leave())
    await until(lambda: alice.phone.names() == ["Carol"], what="Bob gone")
    assert [event.reason for event in alice.phone.told(ParticipantWent)] == [Leaving.HUNG_UP]
    await carol.on_page(lambda page: page.sees("Alice", state=CONNECTED))


async def one_is_removed(alice: OnPhone, carol: OnPage) -> None:
    (carols_id,) = alice.phone.conference.roster.people
    await alice.do(lambda conference: conference.room.remove(carols_id, "the meeting is over"))
    assert await carol.on_page(lambda page: page.ended()) == "You were removed"
    await until(lambda: not alice.phone.names(), what="Carol gone")
    assert [event.reason for event in alice.phone.told(ParticipantWent)][1:] == [Leaving.REMOVED]
