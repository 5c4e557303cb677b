"""Two browsers in a room: they hear each other, whatever happens to them."""

import asyncio

import numpy as np
import pytest

from tests.page.browsers import CONNECTED, Visitor, likeness
from tests.page.middlebox import Middlebox
from tests.page.world import Serve, Visit, Voices

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _meet(serve: Serve, visit: Visit) -> tuple[Visitor, Visitor]:
    link = (await serve()).link("127.0.0.1", "standup")
    alice, bob = await visit("alice"), await visit("bob")
    await alice.enter(link, "Alice")
    await bob.enter(link, "Bob")
    await alice.connected()
    await bob.connected()
    return alice, bob


async def test_both_hear_each_other(serve: Serve, visit: Visit, voices: Voices) -> None:
    alice, bob = await _meet(serve, visit)
    by_alice, by_bob = await asyncio.gather(alice.listen(6.0), bob.listen(6.0))
    for heard, other, own in ((by_alice, "bob", "alice"), (by_bob, "alice", "bob")):
        likenesses = {name: likeness(heard, voices[name][1]) for name in (other, own)}
        # Some pieces of anybody's speech are like some of anybody else's.
        assert likenesses[other] > 0.6, likenesses
        assert likenesses[own] < 0.6 * likenesses[other], likenesses
    await alice.sees("Bob", state=CONNECTED)
    await bob.sees("Alice", state=CONNECTED)
    await _check_codecs(bob)
    rate = "peephole.live()[0].getSenders()[0].getParameters().encodings[0].maxBitrate"
    assert await bob.page.evaluate(rate) == 48_000


async def _check_codecs(visitor: Visitor) -> None:
    """RED is preferred by both, and in-band FEC wanted."""
    descriptions = await visitor.page.evaluate(
        "peephole.live().map((each) => [each.localDescription.sdp, each.remoteDescription.sdp])[0]"
    )
    for description in descriptions:
        (media,) = (line for line in description.splitlines() if line.startswith("m="))
        first = media.split()[3]
        assert f"a=rtpmap:{first} red/48000/2" in description
        assert "useinbandfec=1" in description


async def test_mute_is_silence_and_another_microphone_is_heard(serve: Serve, visit: Visit) -> None:
    alice, bob = await _meet(serve, visit)
    await bob.page.get_by_role("button", name="Mute").click()
    await alice.card("Bob").get_by_role("img", name="Microphone is off").wait_for()
    await asyncio.sleep(0.5)
    assert np.max(np.abs(await alice.listen(0.5))) < 1e-3
    await bob.page.get_by_role("button", name="Unmute").click()
    await alice.card("Bob").get_by_role("img", name="Microphone is off").wait_for(state="hidden")
    await bob.page.get_by_role("button", name="Settings").click()
    menu = bob.page.locator("#room-microphone")
    other = (await menu.locator("option").all_inner_texts())[-1]
    track = "peephole.live()[0].getSenders()[0].track.label"
    assert await bob.page.evaluate(track) != other
    await menu.select_option(other)
    await bob.page.wait_for_function(f"label => {track} === label", arg=other)
    assert await bob.page.evaluate("peephole.connections.length") == 1
    assert np.max(np.abs(await alice.listen(1.5))) > 0.02


async def test_leaving(serve: Serve, visit: Visit) -> None:
    alice, bob = await _meet(serve, visit)
    await bob.page.get_by_role("button", name="Leave").click()
    assert await bob.ended() == "You left the room"
    await alice.sees()
    await alice.page.get_by_text("Bob left.").wait_for(state="attached")
    await bob.page.get_by_role("button", name="Join again").click()
    await bob.page.click("#join-button")
    await alice.sees("Bob", state=CONNECTED)


async def test_a_reloaded_page_is_the_same_participant(serve: Serve, visit: Visit, voices: Voices) -> None:
    # The first to come waits for offers, the second makes them: both must come back.
    pair = await _meet(serve, visit)
    for visitor, other, name in ((*pair, "Alice"), (*reversed(pair), "Bob")):
        hub_id = await other.page.evaluate("peephole.connections.length")
        await visitor.page.reload()
        await visitor.page.wait_for_selector("#room-view:not([hidden])")
        await visitor.connected()
        await other.page.wait_for_function("before => peephole.connections.length > before", arg=hub_id)
        await other.connected()
        await other.sees(name, state=CONNECTED)
        lines = await other.page.evaluate("document.querySelector('#announcer').textContent")
        assert f"{name} came in" not in lines
        heard = await other.listen(2.0)
        assert likeness(heard, voices[name.lower()][1]) > 0.5


async def test_a_server_that_restarts(serve: Serve, visit: Visit, voices: Voices) -> None:
    server = await serve()
    link = server.link("127.0.0.1", "standup")
    alice, bob = await visit("alice"), await visit("bob")
    await alice.enter(link, "Alice")
    await bob.enter(link, "Bob")
    await bob.connected()
    await server.close()
    banner = alice.page.get_by_text("Reconnecting to the room.")
    await banner.wait_for()
    assert likeness(await bob.listen(2.0), voices["alice"][1]) > 0.5, "media goes on"
    again = await serve(server={"port": server.addresses[0][1]})
    await banner.wait_for(state="hidden")
    await alice.sees("Bob", state=CONNECTED)
    await bob.sees("Alice", state=CONNECTED)
    assert again.statistics.restored + again.statistics.resumed >= 2
    assert await alice.page.evaluate("peephole.connections.length") == 1, "connections are kept"


async def test_a_dead_path_is_repaired(serve: Serve, visit: Visit, voices: Voices) -> None:
    link = (await serve()).link("127.0.0.1", "standup")
    alice, bob = await visit("alice"), await visit("bob")
    box = Middlebox()
    await box.attach(alice.page)
    try:
        await alice.enter(link, "Alice")
        await bob.enter(link, "Bob")
        await alice.sees("Bob", state=CONNECTED)
        await bob.sees("Alice", state=CONNECTED)
        await asyncio.sleep(1.5)  # until both rely on packets that come regularly
        box.block()
        loop = asyncio.get_running_loop()
        start = loop.time()
        await alice.sees("Bob", state="Reconnecting")
        noticed = loop.time() - start
        await alice.sees("Bob", state=CONNECTED)
        await bob.sees("Alice", state=CONNECTED)
        assert box.refused > 20
        assert noticed < 4.0
        for visitor, voice in ((alice, "bob"), (bob, "alice")):
            assert await visitor.page.evaluate("peephole.connections.length") == 1, "the same connection"
            assert likeness(await visitor.listen(1.5), voices[voice][1]) > 0.5
    finally:
        box.close()
