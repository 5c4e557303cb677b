"""What the page says when somebody does not come in."""

import time
from typing import Any

import pytest

from softphone.rooms import Access, Invitation, RoomRole, RoomServer
from tests.page.browsers import CONNECTED, Visitor
from tests.page.world import Serve, Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVITED: dict[str, Any] = {"server": {"access": Access.INVITATION}}


def invite(server: RoomServer, *, room: str = "standup", expires: float = 60.0, **claims: Any) -> str:
    now = time.time()
    # As if made a while ago, so that it can be over now.
    return server.invite(Invitation(room=room, expires=now + expires, **claims), now - 3600.0)


async def _refused(visitor: Visitor, server: RoomServer, token: str, name: str = "Bob") -> str:
    await visitor.join(server.link("127.0.0.1", "standup", token), name)
    return await visitor.ended()


@pytest.mark.parametrize(
    ("claims", "title"),
    [
        ({"expires": -10.0}, "This link has expired"),
        ({"room": "elsewhere"}, "This link is for another room"),
        (None, "This link does not open the room"),
    ],
)
async def test_invitations_that_do_not_open(
    serve: Serve, visit: Visit, claims: dict[str, Any] | None, title: str
) -> None:
    server = await serve(**INVITED)
    token = "guessed" if claims is None else invite(server, **claims)
    bob = await visit("bob")
    assert await _refused(bob, server, token) == title
    assert await bob.page.locator("#end-again").is_hidden()


async def test_an_invitation_stays_out_of_the_address_and_is_not_passed_on(
    serve: Serve, visit: Visit
) -> None:
    server = await serve(**INVITED)
    token = invite(server, name="Ann Arbor", role=RoomRole.MODERATOR)
    alice = await visit("alice", permissions=["clipboard-read", "clipboard-write", "microphone"])
    await alice.enter(server.link("127.0.0.1", "standup", token), "Somebody else")
    assert alice.page.url == server.link("127.0.0.1", "standup")
    card = alice.card("Ann Arbor")
    await card.get_by_role("img", name="Name confirmed by an invitation").wait_for()
    assert await card.get_by_text("you · moderator").is_visible()
    await alice.page.get_by_role("button", name="Copy link").click()
    await alice.page.get_by_text("Your own invitation is for you alone").wait_for()
    assert "#" not in await alice.page.evaluate("navigator.clipboard.readText()")
    await alice.page.reload()
    await card.get_by_text("you · moderator").wait_for()


async def test_a_full_room_and_a_second_try(serve: Serve, visit: Visit) -> None:
    server = await serve(server={"max_participants": 1})
    alice, bob = await visit("alice"), await visit("bob")
    await alice.enter(server.link("127.0.0.1", "standup"), "Alice")
    assert await _refused(bob, server, "") == "The room is full"
    assert "1 of 1" in await bob.page.inner_text("#end-message")
    await alice.page.get_by_role("button", name="Leave").click()
    await alice.ended()
    await bob.page.get_by_role("button", name="Try again").click()
    await bob.page.wait_for_function("() => document.querySelector('#microphone').value !== ''")
    await bob.page.click("#join-button")
    await bob.page.wait_for_selector("#room-view:not([hidden])")


async def test_a_name_that_is_refused(serve: Serve, visit: Visit) -> None:
    bob = await visit("bob")
    await bob.join((await serve()).link("127.0.0.1", "standup"), "B\u043eb")
    error = bob.page.locator("#name-error")
    await error.wait_for()
    assert await error.inner_text()
    assert await bob.page.get_attribute("#name", "aria-invalid") == "true"
    assert await bob.page.evaluate("document.activeElement.id") == "name"


async def test_another_tab_with_the_same_place(serve: Serve, visit: Visit) -> None:
    link = (await serve()).link("127.0.0.1", "standup")
    alice = await visit("alice")
    await alice.enter(link, "Alice")
    other = Visitor(await alice.page.context.new_page())
    await other.page.goto(link)
    kept = await alice.page.evaluate("sessionStorage.getItem('softphone.place.standup')")
    # What a tab that is duplicated has, and then reloaded.
    await other.page.evaluate(
        "text => sessionStorage.setItem('softphone.place.standup', "
        "JSON.stringify({...JSON.parse(text), seen: Date.now()}))",
        kept,
    )
    await other.page.reload()
    await other.page.wait_for_selector("#room-view:not([hidden])")
    assert await alice.ended() == "You are here in another tab"


async def test_without_permission(serve: Serve, visit: Visit) -> None:
    guest = await visit("shy")
    await guest.page.goto((await serve()).link("127.0.0.1", "standup"))
    problem = guest.page.locator("#microphone-problem-text")
    await problem.get_by_text("The microphone is not allowed.").wait_for()
    await guest.page.context.grant_permissions(["microphone"])
    await problem.wait_for(state="hidden")


async def test_without_a_microphone(serve: Serve, visit: Visit) -> None:
    link = (await serve()).link("127.0.0.1", "standup")
    alice, guest = await visit("alice"), await visit("mute")
    await alice.enter(link, "Alice")
    await guest.page.goto(link)
    await guest.page.locator("#microphone-problem-text").get_by_text("No microphone was found.").wait_for()
    await guest.page.fill("#name", "Guest")
    await guest.page.get_by_role("button", name="Join without a microphone").click()
    await guest.page.get_by_text("You have no microphone").wait_for()
    await guest.sees("Alice", state=CONNECTED)
    await alice.sees("Guest", state=CONNECTED)


async def test_an_origin_without_https(serve: Serve, visit: Visit) -> None:
    server = await serve(server={"allowed_hosts": frozenset({"insecure.test"})})
    bob = await visit("bob")
    await bob.page.goto(server.link("insecure.test", "standup"))
    await bob.page.get_by_role("alert").get_by_text("only over HTTPS").wait_for()


async def test_a_browser_that_lacks_something(serve: Serve, visit: Visit) -> None:
    bob = await visit("bob")
    await bob.page.add_init_script("delete window.RTCPeerConnection")
    await bob.page.goto((await serve()).link("127.0.0.1", "standup"))
    assert await bob.ended() == "This browser is too old for calls"


async def test_the_front_page_asks_for_a_room(serve: Serve, visit: Visit) -> None:
    bob = await visit("bob")
    server = await serve()
    await bob.page.goto(server.link("127.0.0.1", "x").removesuffix("r/x"))
    await bob.page.fill("#room-name", "no spaces")
    await bob.page.wait_for_function("() => document.querySelector('#microphone').value !== ''")
    await bob.page.click("#join-button")
    assert await bob.page.get_attribute("#room-name", "aria-invalid") == "true"
    await bob.page.fill("#room-name", "Standup")
    await bob.page.click("#join-button")
    await bob.page.wait_for_selector("#room-view:not([hidden])")
    assert bob.page.url == server.link("127.0.0.1", "standup")
