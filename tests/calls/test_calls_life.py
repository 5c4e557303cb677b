"""How calls begin and end, on both sides, whoever or whatever ends them."""

import asyncio
import io
import json
import re
import time
from pathlib import Path

import pytest
from live_calls import LOOPBACK, PATIENCE, MakePhone, address_of, connect, line_of, relay_to, until
from rich.console import Console

from softphone.audio.registry import AudioBackend, audio_backends
from softphone.audio.stream import AudioSink, Render
from softphone.call_events import TRANSITIONS, CallOver, CallState, SignalingLost
from softphone.cli.outcome import print_table, write_json
from softphone.errors import (
    ConfigError,
    DeviceError,
    MediaFileError,
    PeerUnreachableError,
    RemoteProtocolError,
)
from softphone.phone import PhoneConfig, PhoneLine, Ring
from softphone.signaling import (
    CallEndedError,
    CallRefusedError,
    CallStateError,
    CallTarget,
    Ended,
    EndReason,
    Side,
    dial,
)
from softphone.webrtc import Capabilities

OFFER_OF_NOTHING = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"


async def next_ring(line: PhoneLine) -> Ring:
    async with asyncio.timeout(PATIENCE):
        return await anext(line)


async def outcome(calling: "asyncio.Task[object]") -> CallEndedError:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(CallEndedError) as caught:
            await calling
    return caught.value


def test_states_only_move_on() -> None:
    order = list(CallState)
    for state, following in TRANSITIONS.items():
        assert all(order.index(other) > order.index(state) for other in following)
    assert set(TRANSITIONS) == set(CallState)


@pytest.mark.parametrize("who", ["caller", "callee"])
async def test_either_side_hangs_up(make_phone: MakePhone, who: str) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        from_alice, from_bob = await connect(alice, line)
        ending, other = (from_alice, from_bob) if who == "caller" else (from_bob, from_alice)
        began = time.monotonic()
        end = await ending.hang_up("so long")
        far = await other.closed()
        assert time.monotonic() - began < 5
        assert (end.reason, end.by) == (EndReason.HUNG_UP, Side.LOCAL)
        assert (far.reason, far.by, far.detail) == (EndReason.HUNG_UP, Side.REMOTE, "so long")
        assert ending.state is other.state is CallState.ENDED
        assert not alice.calls
        assert not bob.calls
        assert await ending.hang_up() == end
        duration = other.statistics().duration
        await asyncio.sleep(0.05)
        assert other.statistics().duration == duration
        with pytest.raises(CallStateError):
            other.send_digits("1")
        # Both can be called again.
        again, _ = await connect(alice, line)
        await again.hang_up()


async def test_a_declined_call(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    rang = asyncio.Event()
    async with line_of(bob) as line:
        calling = asyncio.create_task(alice.call(address_of(line), on_ringing=rang.set))
        ring = await next_ring(line)
        assert (ring.name, ring.address) == ("Alice", LOOPBACK)
        await asyncio.wait_for(rang.wait(), PATIENCE)
        await ring.decline("in a meeting")
        end = (await outcome(calling)).end
        assert (end.reason, end.by, end.detail) == (EndReason.DECLINED, Side.REMOTE, "in a meeting")


async def test_a_phone_in_a_call_is_busy_even_for_its_own_user(make_phone: MakePhone) -> None:
    alice, bob, carol = make_phone("Alice"), make_phone("Bob"), make_phone("Carol")
    async with line_of(bob) as line, line_of(alice) as line_of_caller:
        call, _ = await connect(alice, line)
        for target in (address_of(line), address_of(line_of_caller)):
            end = (await outcome(asyncio.create_task(carol.call(target)))).end
            assert (end.reason, end.by) == (EndReason.BUSY, Side.REMOTE)
        with pytest.raises(CallStateError):
            await alice.call(address_of(line))
        await call.hang_up()


async def test_the_caller_gives_up(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        calling = asyncio.create_task(alice.call(address_of(line)))
        ring = await next_ring(line)
        calling.cancel()
        await asyncio.wait_for(ring.gone(), PATIENCE)
        with pytest.raises(CallEndedError):
            await ring.answer()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await ring.decline()


async def test_nobody_answers(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob, ring_timeout=0.3) as line:
        calling = asyncio.create_task(alice.call(address_of(line)))
        await next_ring(line)
        assert (await outcome(calling)).end.reason is EndReason.TIMEOUT


async def test_the_secret_is_asked_for(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob, token="correct-horse") as line:
        with pytest.raises(CallRefusedError):
            await alice.call(address_of(line, "wrong-horse"))
        call, _ = await connect(alice, line, address_of(line, "correct-horse"))
        await call.hang_up()


async def test_nobody_is_there(make_phone: MakePhone, free_port: int) -> None:
    with pytest.raises(PeerUnreachableError):
        await make_phone("Alice").call(f"{LOOPBACK}:{free_port}")


async def test_an_offer_of_no_use_is_turned_down_and_the_next_call_works(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        hostile = await dial(
            CallTarget.parse(address_of(line)),
            name="Mallory",
            capabilities=Capabilities.local().to_json(),
            offer_sdp=OFFER_OF_NOTHING,
        )
        ring = await next_ring(line)
        with pytest.raises(RemoteProtocolError):
            await ring.answer()
        assert isinstance([event async for event in hostile][-1], Ended)
        call, _ = await connect(alice, line)
        await call.hang_up()


async def test_no_way_through_the_network_ends_the_call_on_both_sides(make_phone: MakePhone) -> None:
    alice = make_phone("Alice", connect_timeout=1.0, on_peer=cut)
    bob = make_phone("Bob", connect_timeout=1.0)
    async with line_of(bob) as line:
        calling = asyncio.create_task(alice.call(address_of(line)))
        answered = await (await next_ring(line)).answer()
        call = await calling
        async with asyncio.timeout(8):
            ends = await asyncio.gather(call.closed(), answered.closed())
        assert any(end.reason is EndReason.REMOTE_GONE and "network" in end.detail for end in ends), ends


class BrokenSink(AudioSink):
    def start(self, render: Render) -> None:
        raise DeviceError("the loudspeaker is on fire; put it out")

    def stop(self) -> None:
        """Nothing ever ran."""


class BrokenBackend(AudioBackend):
    def sink(self, argument: str) -> AudioSink:
        return BrokenSink()


async def test_a_loudspeaker_that_fails_ends_the_call_with_its_reason(
    make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(audio_backends._builtin, "broken", f"{__name__}:BrokenBackend")
    alice, bob = make_phone("Alice", sink="broken"), make_phone("Bob")
    async with line_of(bob) as line:
        calling = asyncio.create_task(alice.call(address_of(line)))
        answered = await (await next_ring(line)).answer()
        call = await calling
        async with asyncio.timeout(8):
            end, far = await asyncio.gather(call.closed(), answered.closed())
        assert (end.reason, end.by) == (EndReason.ERROR, Side.LOCAL)
        assert "on fire" in end.detail
        assert far.by is Side.REMOTE
        assert "fire" not in far.detail


async def test_what_is_missing_here_shows_before_anybody_is_rung_up(
    make_phone: MakePhone, tmp_path: Path
) -> None:
    async with line_of(make_phone("Bob")) as line:
        for settings, error in (
            ({"source": f"file:{tmp_path}/none.wav"}, MediaFileError),
            ({"sink": f"file:{tmp_path}/none/heard.wav"}, MediaFileError),
            ({"sink": "gramophone"}, ConfigError),
        ):
            phone = make_phone("Alice", **settings)
            for attempt in (phone.check(), phone.call(address_of(line))):
                with pytest.raises(error):
                    await attempt
        (tmp_path / "file").touch()
        with pytest.raises(MediaFileError):
            await make_phone("Alice", record=tmp_path / "file").check()
        assert line.listener.statistics.connections == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"policy": "bogus"},
        {"redundancy": "bogus"},
        {"bitrate": 5},
        {"max_delay": 0.0},
        {"ports": (5, 4)},
        {"addresses": ("nowhere",)},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        PhoneConfig(**settings)  # type: ignore[arg-type]


def cut(peer: object) -> None:
    """Let nothing out any more."""
    peer.outgoing_hook = lambda datagram, transmit: None  # type: ignore[attr-defined]


async def test_a_call_outlives_its_signalling_while_the_other_side_is_heard(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice", media_timeout=1.5), make_phone("Bob", media_timeout=1.5)
    async with line_of(bob) as line, relay_to(line) as relay:
        calls = await connect(alice, line, relay.address)
        await until(lambda: all(call.verification for call in calls))
        relay.refuses = True
        relay.cut()
        await until(lambda: all(call.statistics().signaling_lost for call in calls))
        played = [call.statistics().frames for call in calls]
        await asyncio.sleep(2.5)
        for call, before in zip(calls, played, strict=True):
            assert call.state is CallState.TALKING
            assert sum(call.statistics().frames.values()) > sum(before.values()) + 50
            assert call.statistics().silent_for < 1.5
        # The listener knows nothing of the call any more, and is busy all the same.
        assert line.listener.busy
        began = time.monotonic()
        await calls[0].hang_up()
        end = await calls[1].closed()
        assert time.monotonic() - began < 5
        assert end.reason is EndReason.REMOTE_GONE
        events = [event async for event in calls[1]]
        assert any(isinstance(event, SignalingLost) for event in events)
        assert isinstance(events[-1], CallOver)
        await until(lambda: not line.listener.busy)


async def test_a_call_ends_when_signalling_and_media_are_dead(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice", media_timeout=1.5), make_phone("Bob", media_timeout=60.0)
    async with line_of(bob) as line, relay_to(line) as relay:
        from_alice, from_bob = await connect(alice, line, relay.address)
        cut(from_bob.peer)
        await until(lambda: from_alice.statistics().silent_for > 2.0)
        # A peer whose signalling lives may be silent: ICE decides about such a call.
        assert from_alice.state is CallState.TALKING
        began = time.monotonic()
        relay.refuses = True
        relay.cut()
        end = await from_alice.closed()
        assert time.monotonic() - began < 8
        assert end.reason is EndReason.REMOTE_GONE
        await from_bob.hang_up()


async def test_closing_a_phone_ends_its_calls(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        call, other = await connect(alice, line)
        await bob.close()
        assert other.state is CallState.ENDED
        assert (await call.closed()).by is Side.REMOTE
        with pytest.raises(StopAsyncIteration):
            await anext(line)


async def test_what_is_left_of_a_call_tells_how_it_was_sent_and_played(
    make_phone: MakePhone, tmp_path: Path
) -> None:
    alice, bob = make_phone("Alice", source="tone:440"), make_phone("Bob")
    async with line_of(bob) as line:
        call, heard = await connect(alice, line)
        await until(lambda: call.media.pipeline.plan_history)
        end = await call.hang_up()
        await heard.closed()
    # As a policy says that can't use its model.
    heard.media.engine.statistics.policy_fallbacks = 1
    assert heard.statistics().policy_fallbacks == 1
    for one, fallbacks in ((call, 0), (heard, 1)):
        write_json(tmp_path / "call.json", one, end)
        summary = json.loads((tmp_path / "call.json").read_text())["summary"]
        assert summary["policy_fallbacks"] == fallbacks
    write_json(tmp_path / "call.json", call, end)
    (first, *_) = json.loads((tmp_path / "call.json").read_text())["summary"]["plans"]
    assert (first["at_s"], first["reason"]) == (0.0, "the network isn't known yet")
    assert first["rate_state"] == "steady"
    console = Console(file=io.StringIO(), width=100)
    print_table(console, call.statistics(), call.media.pipeline.plan_history)
    assert isinstance(console.file, io.StringIO)
    assert re.search(r"00:00 .*LBRR\+DRED +the network isn't known yet", console.file.getvalue())
