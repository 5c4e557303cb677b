"""Rooms on a Janus server: the same page, the same voices."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.page.browsers import CONNECTED, likeness
from tests.page.world import Serve, Visit, Voices
from tests.support.janus_server import JanusProcess, missing_for_janus

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def engine() -> Iterator[dict[str, Any]]:
    """Settings of room servers that use a Janus of ours."""
    if missing := missing_for_janus():
        pytest.skip(missing)
    with JanusProcess(ports="40000-44999") as janus:
        yield {"engine": "janus", "engine_options": {"urls": janus.url, "secret": "sixteen characters"}}


async def test_both_hear_each_other_through_janus(
    serve: Serve, visit: Visit, voices: Voices, engine: dict[str, Any]
) -> None:
    link = (await serve(server=engine)).link("127.0.0.1", "standup")
    alice, bob = await visit("alice"), await visit("bob")
    await alice.enter(link, "Alice")
    await bob.enter(link, "Bob")
    await alice.sees("Bob", state=CONNECTED)
    await bob.sees("Alice", state=CONNECTED)
    for visitor, voice in ((alice, "bob"), (bob, "alice")):
        assert likeness(await visitor.listen(2.0), voices[voice][1]) > 0.5
    await bob.page.get_by_role("button", name="Statistics").click()
    await bob.page.locator("#statistics-table").get_by_text("kb/s").nth(1).wait_for()
    await bob.page.keyboard.press("Escape")
    await bob.page.reload()
    await bob.sees("Alice", state=CONNECTED)
    await alice.sees("Bob", state=CONNECTED)
    await bob.page.get_by_role("button", name="Leave").click()
    await alice.sees()


async def test_with_and_without_the_passphrase(
    serve: Serve, visit: Visit, voices: Voices, engine: dict[str, Any]
) -> None:
    link = (await serve(server=engine)).link("127.0.0.1", "secret")
    alice, bob, eve = await visit("alice"), await visit("bob"), await visit("bob")
    await alice.enter(f"{link}#&passphrase=horse", "Alice")
    await bob.enter(f"{link}#&passphrase=horse", "Bob")
    await bob.sees("Alice", state=CONNECTED)
    assert likeness(await bob.listen(2.0), voices["alice"][1]) > 0.5
    await eve.enter(link, "Eve")
    await eve.sees("Alice", "Bob", state="Has another passphrase")
    await bob.card("Eve").get_by_text("Has another passphrase").wait_for()
    await bob.card("Alice").get_by_text("ound").wait_for()


async def test_back_on_a_network_all_paths_are_exchanged_at_once(
    serve: Serve, visit: Visit, voices: Voices, engine: dict[str, Any]
) -> None:
    link = (await serve(server=engine)).link("127.0.0.1", "moving")
    alice, bob = await visit("alice"), await visit("bob")
    sockets: list[str] = []
    alice.page.on("websocket", lambda socket: sockets.append(socket.url))
    await alice.enter(link, "Alice")
    await bob.enter(link, "Bob")
    await alice.sees("Bob", state=CONNECTED)
    await bob.sees("Alice", state=CONNECTED)
    passwords = """() => peephole.live().map((each) =>
      [each.localDescription, each.remoteDescription].map(({ sdp }) => /ice-pwd:(.*)/.exec(sdp)[1]))"""
    before = await alice.page.evaluate(passwords)
    assert len(before) == 2
    await alice.page.evaluate("() => { dispatchEvent(new Event('online')); }")
    # Long before anybody would miss packets: none are lost here.
    await alice.page.wait_for_function(
        f"""(before) => {{
          const now = ({passwords})();
          return now.length === 2 && now.flat().every((each) => !before.flat().includes(each));
        }}""",
        arg=before,
        timeout=1_500,
    )
    assert await alice.page.evaluate("peephole.connections.length") == 2, "the same connections"
    assert sum(url.startswith(engine["engine_options"]["urls"]) for url in sockets) == 2, "over a new one"
    for visitor, voice in ((alice, "bob"), (bob, "alice")):
        assert likeness(await visitor.listen(1.5), voices[voice][1]) > 0.5
