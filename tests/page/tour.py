"""Every state of the page, one after the other: for the check of accessibility and for pictures."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from softphone.rooms import Access, Invitation, RoomRole
from tests.page.browsers import CONNECTED, Visitor
from tests.page.world import Serve, Visit

__all__ = ["tour"]

_WIDE: dict[str, Any] = {"viewport": {"width": 1100, "height": 700}}
_PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
_DARK: dict[str, Any] = {"color_scheme": "dark"}


async def tour(serve: Serve, visit: Visit) -> AsyncIterator[tuple[str, Visitor]]:
    """Yields the name of a state and a window in it."""
    async for state in _joining(serve, visit):
        yield state
    async for state in _inside(serve, visit):
        yield state
    async for state in _refused(serve, visit):
        yield state


async def _joining(serve: Serve, visit: Visit) -> AsyncIterator[tuple[str, Visitor]]:
    server = await serve()
    link = server.link("127.0.0.1", "standup")
    alice = await visit("alice", **_PHONE)
    await alice.page.goto(link)
    await alice.page.fill("#name", "Alice")
    await alice.page.wait_for_function("() => document.querySelector('#microphone').value !== ''")
    await asyncio.sleep(1.0)  # the bar shows speech
    yield "join", alice
    await alice.page.get_by_text("Encryption").click()
    yield "join-encryption", alice
    shy = await visit("shy", **_PHONE)
    await shy.page.goto(link)
    await shy.page.locator("#microphone-problem").wait_for()
    yield "join-no-permission", shy
    bob = await visit("bob", **_PHONE, **_DARK)
    await bob.join(link, "B\u043eb")
    await bob.page.locator("#name-error").wait_for()
    yield "join-bad-name", bob


async def _inside(serve: Serve, visit: Visit) -> AsyncIterator[tuple[str, Visitor]]:
    server = await serve(server={"access": Access.INVITATION})
    expires = time.time() + 60.0
    ada = Invitation(room="standup", name="Ada", role=RoomRole.MODERATOR, expires=expires)
    links = [
        server.link("127.0.0.1", "standup", server.invite(each, time.time()))
        for each in (ada, Invitation(room="standup", expires=expires))
    ]
    alice, bob, grace = await visit("alice", **_WIDE), await visit("bob", **_PHONE), await visit("bob")
    await alice.enter(links[0], "")
    await bob.enter(links[1], "Bob")
    await grace.enter(links[1], "Grace Hopper")
    await alice.sees("Bob", "Grace Hopper", state=CONNECTED)
    await bob.sees("Ada", "Grace Hopper", state=CONNECTED)
    await grace.page.get_by_role("button", name="Mute").click()
    await grace.page.get_by_role("button", name="Raise hand").click()
    await bob.page.get_by_role("button", name="Chat").click()
    for visitor, text in ((alice, "Shall we begin?"), (bob, "Yes. The slides: https://example.org/<2026>")):
        await visitor.page.fill("#chat-text", text)
        await visitor.page.press("#chat-text", "Enter")
        await visitor.page.locator("#chat-lines").get_by_text(text).wait_for()
    await bob.page.get_by_role("button", name="Chat").click()
    await alice.page.get_by_label("Newcomers wait to be let in").check()
    dave = await visit("bob", **_PHONE)
    await dave.join(links[1], "Dave")
    await dave.page.get_by_role("heading", name="Waiting to be let in").wait_for()
    yield "waiting", dave
    await alice.page.get_by_role("button", name="Let Dave in").wait_for()
    await alice.card("Bob").get_by_text("Options").click()
    await asyncio.sleep(1.5)  # the quality is known
    yield "room", alice
    await alice.page.emulate_media(color_scheme="dark")
    await alice.page.get_by_role("button", name="Turn Dave away").click()
    await asyncio.sleep(0.3)
    yield "room-dark", alice
    yield "denied", dave
    await bob.page.evaluate("scrollTo(0, 0)")
    yield "room-phone", bob
    await bob.page.get_by_role("button", name="Chat").click()
    await bob.page.locator("#chat").scroll_into_view_if_needed()
    yield "chat-phone", bob
    await bob.page.get_by_role("button", name="Statistics").click()
    await asyncio.sleep(1.2)
    yield "statistics", bob
    await bob.page.keyboard.press("Escape")
    await bob.page.get_by_role("button", name="Settings").click()
    yield "settings", bob
    await bob.page.keyboard.press("Escape")
    await alice.card("Bob").get_by_role("button", name="Remove Bob").click()
    yield "question", alice
    await alice.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await bob.ended()
    yield "removed", bob
    late = await visit("bob", **_PHONE)
    await late.page.goto(links[1])
    await server.close()
    await grace.page.get_by_text("Reconnecting to the room.").wait_for()
    yield "reconnecting", grace
    await late.join("", "Dave")
    await late.page.get_by_text("The room server does not answer.").wait_for()
    yield "unreachable", late


async def _refused(serve: Serve, visit: Visit) -> AsyncIterator[tuple[str, Visitor]]:
    server = await serve(server={"access": Access.INVITATION, "max_participants": 1})
    now = time.time()

    def link(**claims: Any) -> str:
        token = server.invite(Invitation(room="standup", expires=now + 60.0, **claims), now)
        return server.link("127.0.0.1", "standup", token)

    alice, bob = await visit("alice", **_PHONE), await visit("bob", **_PHONE)
    over = server.invite(Invitation(room="standup", expires=now - 1.0), now - 60.0)
    await bob.join(server.link("127.0.0.1", "standup", over), "Bob")
    await bob.ended()
    yield "expired", bob
    await alice.enter(link(role=RoomRole.MODERATOR), "Alice")
    await bob.join(link(), "Bob")
    await bob.ended()
    yield "full", bob
    await alice.page.get_by_role("button", name="Leave").click()
    await alice.ended()
    yield "left", alice
