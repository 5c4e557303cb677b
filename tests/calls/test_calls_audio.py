"""What is said here is heard there: real signalling, ICE, DTLS-SRTP, codec and playout."""

import asyncio
import re
from pathlib import Path

import numpy as np
from live_calls import MakePhone, connect, heard_share, line_of, read_audio, rms, until, write_speech

from softphone.call_events import CallOver, Connected, DigitReceived, Verified
from softphone.playout import Source
from softphone.sim.network import NetworkEmulator
from softphone.sim.presets import parse_profile
from softphone.webrtc import Peer
from softphone.webrtc.impairment import Impairment


async def test_both_hear_each_other_and_see_the_same_digits(make_phone: MakePhone, tmp_path: Path) -> None:
    said_by_alice = write_speech(tmp_path / "alice.wav", 0.0, 4.0)
    said_by_bob = write_speech(tmp_path / "bob.wav", 8.0, 4.0)
    alice = make_phone(
        "Alice", source=f"file:{tmp_path / 'alice.wav'}", sink=f"file:{tmp_path / 'alice-heard.wav'}"
    )
    bob = make_phone("Bob", source=f"file:{tmp_path / 'bob.wav'}", sink=f"file:{tmp_path / 'bob-heard.wav'}")
    async with line_of(bob) as line:
        calls = await connect(alice, line)
        from_alice, from_bob = calls
        await until(lambda: all(call.verification for call in calls))
        assert from_alice.verification == from_bob.verification
        assert (from_alice.remote_name, from_bob.remote_name) == ("Bob", "Alice")
        await until(lambda: all(call.media.pipeline.statistics.seconds >= 3.9 for call in calls))
        await asyncio.sleep(0.5)
        await from_alice.hang_up()
        await from_bob.closed()
    events = [event async for event in from_alice]
    assert isinstance(events[0], Connected)
    assert Verified(from_bob.verification or "") in events
    assert isinstance(events[-1], CallOver)

    assert heard_share(said_by_alice, read_audio(tmp_path / "bob-heard.wav")) > 0.5
    assert heard_share(said_by_bob, read_audio(tmp_path / "alice-heard.wav")) > 0.5
    assert heard_share(said_by_alice, read_audio(tmp_path / "alice-heard.wav")) < 0.2
    statistics = from_bob.statistics()
    assert statistics.packets_lost == 0
    assert statistics.frames[Source.REGULAR] >= 150
    assert 0.02 < statistics.delays.p50 < 0.4


async def test_mute_is_silence_at_the_other_side(make_phone: MakePhone, tmp_path: Path) -> None:
    alice = make_phone("Alice", source="tone:440")
    bob = make_phone("Bob", sink=f"file:{tmp_path / 'heard.wav'}")
    async with line_of(bob) as line:
        call, heard = await connect(alice, line)
        sending = call.media.pipeline

        async def send(seconds: float) -> None:
            end = sending.statistics.seconds + seconds
            await until(lambda: sending.statistics.seconds >= end)

        await send(1.0)
        call.muted = True
        await send(1.5)
        call.muted = False
        await send(1.0)
        await call.hang_up()
        await heard.closed()
    pcm = read_audio(tmp_path / "heard.wav")
    loud = np.array([rms(pcm[at : at + 4800]) > 0.003 for at in range(0, pcm.size - 4800, 4800)])
    tenths = "".join("x" if is_loud else "." for is_loud in loud)
    silence = max(re.findall(r"\.+", tenths.strip(".")), key=len, default="")
    before, after = tenths.strip(".").split(silence, 1) if silence else (tenths, "")
    # Pauses may be shortened in playing, and a starved machine makes gaps of its own.
    assert len(silence) >= 7, tenths
    assert before.count("x") >= 4, tenths
    assert after.count("x") >= 4, tenths
    assert sending.statistics.muted_frames >= 70


async def test_keys_arrive_in_order_and_once(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        call, other = await connect(alice, line)
        call.send_digits("159*0##")
        digits = ""
        async with asyncio.timeout(10):
            async for event in other:
                if isinstance(event, DigitReceived):
                    digits += event.digit
                if len(digits) == 7:
                    break
        await other.hang_up()
        await call.closed()
    assert digits == "159*0##"


async def test_a_call_over_a_bursty_network_is_repaired_and_stays_up(
    make_phone: MakePhone, tmp_path: Path
) -> None:
    impairments: list[Impairment] = []

    def impair(peer: Peer) -> None:
        emulator = NetworkEmulator(parse_profile("bursty20"), 7, direction=f"{len(impairments)}")
        peer.outgoing_hook = impairment = Impairment(emulator)
        impairments.append(impairment)

    said = write_speech(tmp_path / "said.wav", 0.0, 8.0)
    alice = make_phone("Alice", source=f"file:{tmp_path / 'said.wav'}", on_peer=impair)
    bob = make_phone("Bob", sink=f"file:{tmp_path / 'heard.wav'}", on_peer=impair)
    async with line_of(bob) as line:
        call, other = await connect(alice, line)
        await until(lambda: call.media.pipeline.statistics.seconds >= 7.9)
        await asyncio.sleep(0.5)
        assert (call.state, other.state) == ("talking", "talking")
        statistics = other.statistics()
        await call.hang_up()
        await other.closed()
    for impairment in impairments:
        impairment.close()
    assert impairments[0].counters.media_lost >= 40
    assert statistics.packets_lost >= 30
    assert sum(statistics.frames[source] for source in (Source.RED, Source.LBRR, Source.DRED)) >= 20
    assert statistics.repaired_share is not None
    assert statistics.repaired_share > 0.4
    assert statistics.round_trip is None or statistics.round_trip > 0.05
    assert call.statistics().remote_fraction_lost is not None
    # Repaired speech is made anew and has another waveform, so only what arrived is compared.
    assert heard_share(said, read_audio(tmp_path / "heard.wav"), likeness=0.7) > 0.3
