"""The passphrase of a room: the same one is heard, another one is silence and a message."""

import numpy as np
import pytest

from tests.page.browsers import CONNECTED, Visitor, likeness
from tests.page.world import Serve, Visit, Voices

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _meet(serve: Serve, visit: Visit, *passphrases: str) -> tuple[Visitor, Visitor]:
    link = (await serve()).link("127.0.0.1", "standup")
    alice, bob = await visit("alice"), await visit("bob")
    await alice.enter(f"{link}#&passphrase={passphrases[0]}", "Alice")
    await bob.page.goto(link)
    await bob.page.get_by_text("Encryption").click()
    await bob.page.fill("#passphrase", passphrases[1])
    await bob.enter("", "Bob")
    await bob.page.get_by_text("end-to-end encrypted").wait_for()
    await alice.connected()
    await bob.connected()
    return alice, bob


async def test_with_the_same_passphrase(serve: Serve, visit: Visit, voices: Voices) -> None:
    alice, bob = await _meet(serve, visit, "horse", "horse")
    await alice.sees("Bob", state=CONNECTED)
    assert likeness(await bob.listen(2.0), voices["alice"][1]) > 0.5


async def test_with_another_passphrase(serve: Serve, visit: Visit) -> None:
    alice, bob = await _meet(serve, visit, "horse", "battery")
    await alice.sees("Bob", state="Has another passphrase")
    await alice.page.locator("#notice").get_by_text("You can't hear each other.").wait_for()
    assert np.max(np.abs(await bob.listen(1.0))) < 1e-3
