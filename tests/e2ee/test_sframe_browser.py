"""The page's half of SFrame, in headless Chromium, against the standard and against ours."""

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softphone.e2ee import CIPHER_SUITES, RoomKey, SframeError, SframeReceiver, SframeSender, derive_room_key
from softphone.opus import Decoder
from softphone.rtp.packet import RtpPacket, RtpPayload
from softphone.webrtc import IceConfig, LocalAudio, Peer, PeerConfig
from tests.support.sframe_vectors import (
    BASE_KEY,
    CTR,
    HEADER,
    HEADERS,
    KID,
    METADATA,
    PASSPHRASE_KEYS,
    PLAINTEXT,
    VECTORS,
)
from tests.support.stream import opus_packets

SCRIPT = (Path(__file__).parent / "sframe_browser.js").read_text(encoding="utf-8")


@pytest.fixture
async def page(browser_page: Any) -> Any:
    await browser_page.add_script_tag(content=SCRIPT)
    return browser_page


async def test_the_known_answers_of_the_standard(page: Any) -> None:
    for vector in VECTORS:
        key = {"base": BASE_KEY.hex(), "suite": vector.suite, "metadata": METADATA.hex()}
        frame = (HEADER + bytes.fromhex(vector.ciphertext)).hex()
        numbers = {"kid": str(KID), "ctr": str(CTR), "payloads": [PLAINTEXT.hex()]}
        assert await page.evaluate("protect", {**key, **numbers}) == [frame]
        opened = await page.evaluate("unprotect", {**key, "frames": [frame]})
        assert opened["results"] == [PLAINTEXT.hex()]
    table = [[str(kid), str(ctr)] for kid, ctr, _ in HEADERS]
    expected = [[str(kid), str(ctr), packed, len(packed) // 2] for kid, ctr, packed in HEADERS]
    assert await page.evaluate("headers", table) == expected


async def test_page_and_phone_read_each_other(page: Any) -> None:
    for suite in CIPHER_SUITES:
        await _exchange(page, suite)


async def _exchange(page: Any, suite: str) -> None:
    room = RoomKey(os.urandom(32), CIPHER_SUITES[suite])
    key = {"base": room.base_key.hex(), "suite": suite, "metadata": b"alice".hex()}
    payloads = [os.urandom(k) for k in range(40)]
    sender = SframeSender(room, metadata=b"alice")
    frames = [sender.protect(payload) for payload in payloads]
    # The last is sent again, and one is changed on the way.
    sent = [*frames, frames[-1], frames[5][:-1] + bytes([frames[5][-1] ^ 1])]
    opened = await page.evaluate("unprotect", {**key, "frames": [frame.hex() for frame in sent]})
    assert opened["results"][:40] == [payload.hex() for payload in payloads]
    assert opened["results"][40:] == ["SframeError: replayed", "SframeError: replayed"]
    protected = await page.evaluate("protect", {**key, "payloads": [payload.hex() for payload in payloads]})
    receiver = SframeReceiver(room, metadata=b"alice")
    assert [receiver.unprotect(bytes.fromhex(frame)) for frame in protected] == payloads


async def test_the_page_refuses_what_is_not_authentic(page: Any) -> None:
    key = {"base": bytes(32).hex(), "suite": "AES_128_GCM_SHA256_128", "metadata": ""}
    frames = [bytes([first]) + bytes(40) for first in range(256)]
    opened = await page.evaluate("unprotect", {**key, "frames": [frame.hex() for frame in [b"", *frames]]})
    assert {text.split(":")[0] for text in opened["results"]} == {"SframeError"}
    assert opened["state"] == "failing"
    assert opened["counters"]["accepted"] == 0


async def test_a_passphrase_gives_the_same_key(page: Any) -> None:
    for passphrase, room, key in PASSPHRASE_KEYS:
        assert await page.evaluate("baseKey", {"passphrase": passphrase, "room": room}) == key


class _Call:
    """An encrypted call between the page and a peer of ours."""

    def __init__(self, key: RoomKey) -> None:
        self.peer = Peer(PeerConfig(ice=IceConfig(), audio=LocalAudio(red=False)))
        self.peer.receiver.on_packet = self._on_packet
        # Frames are bound to the ids that the page knows the two by.
        self.sender, self.receiver = (
            SframeSender(key, metadata=b"peer"),
            SframeReceiver(key, metadata=b"page"),
        )
        self.heard: list[np.ndarray] = []
        self._decoder = Decoder()

    def _on_packet(self, packet: RtpPacket, arrival: float) -> None:
        try:
            self.heard.append(self._decoder.decode(self.receiver.unprotect(packet.payload)))
        except SframeError:
            return

    async def talk(self, page: Any, passphrase: str) -> dict[str, Any]:
        answer = await self.peer.accept_offer(
            await page.evaluate("offer", {"passphrase": passphrase, "room": "team"})
        )
        await page.evaluate("answered", answer)
        await self.peer.wait_connected(10)
        assert self.peer.negotiated is not None
        for k, payload in enumerate(opus_packets()[:120]):
            frame = self.sender.protect(payload)
            self.peer.sender.send(RtpPayload(self.peer.negotiated.opus_pt, k * 960, frame))
            await asyncio.sleep(0.02)
        said: dict[str, Any] = await page.evaluate("heard")
        return said


async def test_a_call_with_the_page_is_heard_both_ways(page: Any) -> None:
    call = _Call(await derive_room_key("correct horse", "team"))
    try:
        said = await call.talk(page, "correct horse")
    finally:
        await call.peer.close()
    assert said["states"] == [{"type": "state", "id": "peer", "state": "decrypting"}]
    assert said["energy"] > 1e-4
    assert call.receiver.counters.accepted > 50
    assert call.receiver.counters.refused == call.receiver.counters.malformed == 0
    assert np.abs(np.concatenate(call.heard)).max() > 0.05, "the beeps of the fake microphone"


async def test_with_another_passphrase_both_sides_stay_silent_and_say_so(page: Any) -> None:
    call = _Call(await derive_room_key("correct horse", "team"))
    try:
        said = await call.talk(page, "wrong horse")
    finally:
        await call.peer.close()
    assert said["states"] == [{"type": "state", "id": "peer", "state": "failing"}]
    assert said["packets"] > 50
    assert said["energy"] < 1e-6
    assert not call.heard
    assert call.receiver.state == "failing"
