"""The passphrase of a room: the same one is heard, another one is silence and a message."""

import numpy as np
import pytest

from tests.page.browsers import CONNECTED, Visitor, likeness
from tests.page.world import Serve, Visit, Voices

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_passphrases(serve: Serve, visit: Visit, voices: Voices) -> None:
    link = (await serve()).link("127.0.0.1", "standup")
    alice, bob = await visit("alice"), await visit("bob")
    await alice.enter(f"{link}#&passphrase=horse", "Alice")
    await _enter_by_form(bob, link, "Bob", "horse")
    # One offers and the other answers: both ways have to be encrypted.
    await alice.sees("Bob", state=CONNECTED)
    await bob.sees("Alice", state=CONNECTED)
    assert likeness(await alice.listen(1.5), voices["bob"][1]) > 0.5
    assert likeness(await bob.listen(1.5), voices["alice"][1]) > 0.5

    eve = await visit("bob")
    await _enter_by_form(eve, link, "Eve", "battery")
    await eve.sees("Alice", "Bob", state="Has another passphrase")
    await alice.card("Eve").get_by_text("Has another passphrase").wait_for()
    await alice.page.locator("#notice").get_by_text("You can't hear each other.").wait_for()
    assert np.max(np.abs(await eve.listen(0.5))) < 1e-3
    await alice.card("Bob").get_by_text("ound").wait_for()


async def _enter_by_form(visitor: Visitor, link: str, name: str, passphrase: str) -> None:
    await visitor.page.goto(link)
    await visitor.page.get_by_text("Encryption").click()
    await visitor.page.fill("#passphrase", passphrase)
    await visitor.enter("", name)
    await visitor.page.get_by_text("end-to-end encrypted").wait_for()
