"""What people in a room do with the page besides talking."""

import pytest

from tests.page.browsers import CONNECTED
from tests.page.world import Serve, Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"viewport": {"width": 360, "height": 740}}
EVIL = '<img src=x onerror="document.title=1">'


async def test_chat_hands_and_names_are_text(serve: Serve, visit: Visit) -> None:
    link = (await serve()).link("127.0.0.1", "standup")
    alice, bob = await visit("alice", **PHONE), await visit("bob", **PHONE)
    await alice.enter(link, "Alice")
    await bob.enter(link, EVIL)
    await alice.sees(EVIL, state=CONNECTED)
    await bob.page.get_by_role("button", name="Chat").click()
    await bob.page.fill("#chat-text", f"Hello {EVIL}")
    await bob.page.press("#chat-text", "Enter")
    for visitor in (alice, bob):
        await visitor.page.get_by_text(f"Hello {EVIL}", exact=True).first.wait_for(state="attached")
        assert await visitor.page.locator("#room-view img, #announcer img").count() == 0
    await alice.page.get_by_role("button", name="Chat 1").click()
    assert await alice.page.input_value("#chat-text") == ""
    await alice.page.wait_for_selector("#unread", state="hidden")

    await bob.page.get_by_role("button", name="Raise hand").click()
    await alice.card(EVIL).get_by_role("img", name="Hand is raised, number 1").wait_for()
    await bob.page.get_by_role("button", name="Lower hand").wait_for()
    await bob.page.get_by_role("button", name="Settings").click()
    await bob.page.fill("#rename", "Bob")
    await bob.page.get_by_role("button", name="Change").click()
    await alice.sees("Bob")
    assert await alice.page.title() == "standup · softphone"


async def test_a_moderator_lets_in_mutes_locks_and_removes(serve: Serve, visit: Visit) -> None:
    link = (await serve(lobby=True)).link("127.0.0.1", "standup")
    alice, bob = await visit("alice"), await visit("bob")
    await alice.enter(link, "Alice")
    await bob.join(link, "Bob")
    await alice.page.get_by_role("button", name="Turn Bob away").click()
    assert await bob.ended() == "You were not let in"
    await bob.join(link, "Bob")
    await bob.page.get_by_role("heading", name="Waiting to be let in").wait_for()
    await alice.page.get_by_role("button", name="Let Bob in").click()
    await alice.sees("Bob", state=CONNECTED)
    await alice.page.wait_for_selector("#lobby", state="hidden")

    await alice.card("Bob").get_by_text("Options").click()
    await alice.card("Bob").get_by_role("button", name="Turn off the microphone of Bob").click()
    await bob.page.get_by_text("Alice turned your microphone off.").wait_for()
    assert not await bob.page.evaluate("peephole.live()[0].getSenders()[0].track.enabled")
    assert await bob.page.locator("#moderation").is_hidden()

    await alice.page.get_by_label("Lock the room").check()
    await bob.page.get_by_text("locked · newcomers wait").wait_for()
    await alice.card("Bob").get_by_role("button", name="Remove Bob").click()
    await alice.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    assert await bob.ended() == "You were removed"
    await alice.sees()
    focus = await alice.page.evaluate("document.activeElement.id")
    assert focus == "people-title", "the focus does not vanish with the card"
    await bob.join(link, "Bob")
    assert await bob.ended() == "The room is locked"
    await alice.page.get_by_role("button", name="End for everybody").click()
    await alice.page.get_by_role("dialog").get_by_role("button", name="End for everybody").click()
    assert await alice.ended() == "The room was closed"


async def test_the_volume_of_one_participant(serve: Serve, visit: Visit) -> None:
    link = (await serve()).link("127.0.0.1", "standup")
    alice, bob = await visit("alice"), await visit("bob")
    await alice.page.add_init_script(
        "window.Audio = class extends Audio { constructor() { super(); window.played = this; } };"
    )
    await alice.enter(link, "Alice")
    await bob.enter(link, "Bob")
    await alice.connected()
    await alice.card("Bob").get_by_text("Options").click()
    await alice.card("Bob").get_by_label("Volume of Bob").fill("25")
    assert await alice.page.evaluate("played.volume") == 0.25
    await bob.page.get_by_role("button", name="Mute").click()
    await alice.page.wait_for_function("() => played.muted")


async def test_the_link_to_pass_on(serve: Serve, visit: Visit) -> None:
    server = await serve()
    alice = await visit("alice", permissions=["clipboard-read", "clipboard-write", "microphone"])
    await alice.enter(server.link("127.0.0.1", "standup"), "Alice")
    await alice.page.get_by_role("button", name="Copy link").click()
    await alice.page.get_by_text("The link is copied.").wait_for()
    copied = await alice.page.evaluate("navigator.clipboard.readText()")
    assert copied == server.link("127.0.0.1", "standup")


async def test_everything_can_be_done_with_the_keyboard(serve: Serve, visit: Visit) -> None:
    link = (await serve()).link("127.0.0.1", "standup")
    alice = await visit("alice")
    await alice.page.goto(link)
    await alice.page.wait_for_function("() => document.querySelector('#microphone').value !== ''")
    await alice.page.focus("#name")
    await alice.page.keyboard.type("Alice")
    await alice.page.keyboard.press("Enter")
    await alice.page.wait_for_selector("#room-view:not([hidden])")
    assert await alice.page.evaluate("document.activeElement.id") == "room-title"
    reached = []
    for _ in range(40):
        await alice.page.keyboard.press("Tab")
        reached.append(await alice.page.evaluate("document.activeElement.id"))
        if reached[-1] == "leave":
            break
    controls = {"copy-link", "open-statistics", "open-settings", "lock", "use-lobby", "end-room"}
    assert controls | {"chat-text", "mute", "hand", "toggle-chat", "leave"} <= set(reached)
    await alice.page.focus("#open-settings")
    await alice.page.keyboard.press("Enter")
    await alice.page.wait_for_selector("#settings[open]")
    await alice.page.keyboard.press("Escape")
    assert await alice.page.evaluate("document.activeElement.id") == "open-settings"
