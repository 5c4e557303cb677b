"""Calls whose connection is lost and replaced, over loopback; and strangers who would like to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from signaling_peers import ANSWER, OFFER, StartListener, next_call, raw_client, until

from softphone.signaling import (
    CallEndedError,
    CallSession,
    CallTarget,
    EndReason,
    Listener,
    OutgoingCall,
    Restart,
    Side,
    State,
    dial,
)
from tests.support.tcp_relay import TcpRelay

ALICE, BOB = (":".join([byte] * 32) for byte in ("A1", "B0"))
WRONG = "00" * 32


class Answered:
    """A call over a line."""

    def __init__(
        self, line: TcpRelay, outgoing: OutgoingCall, caller: CallSession, callee: CallSession
    ) -> None:
        self.line = line
        self.outgoing = outgoing
        self.caller = caller
        self.callee = callee
        self.told: dict[CallSession, list[bool]] = {caller: [], callee: []}
        """Of each end, whether the connection stood when it was told of a change."""
        for session, told in self.told.items():
            session.on_connection = lambda loss, told=told: told.append(loss is None)

    async def back(self, times: int = 1) -> None:
        """Wait until both have lost the connection and have it again."""
        await until(lambda: all(told == [False, True] * times for told in self.told.values()))


@contextlib.asynccontextmanager
async def answered(listener: Listener, secret: str = "", **settings: Any) -> AsyncIterator[Answered]:
    async with TcpRelay(listener.addresses[0][1]) as line:
        target = CallTarget("127.0.0.1", line.port, secret)
        outgoing = await dial(target, name="Alice", capabilities={}, offer_sdp=OFFER, **settings)
        callee = await (await next_call(listener)).accept(ANSWER, {})
        try:
            yield Answered(line, outgoing, (await outgoing.answered()).session, callee)
        finally:
            await outgoing.hang_up()


@pytest.mark.parametrize("who", ["caller", "callee"])
async def test_a_call_goes_on_over_another_connection(start_listener: StartListener, who: str) -> None:
    listener = await start_listener(token="correct-horse")
    async with answered(listener, secret="correct-horse") as call:
        for times in (1, 2):
            call.line.cut()
            await call.back(times)
        assert call.caller.state is call.callee.state is State.CONNECTED
        heard: list[object] = []
        call.caller.on_path = heard.append
        await call.callee.tell_path(Restart(session=3))
        await until(lambda: heard == [Restart(session=3)])
        near, far = (call.caller, call.callee) if who == "caller" else (call.callee, call.caller)
        await near.hang_up("so long")
        end = await far.closed()
        assert (end.reason, end.by, end.detail) == (EndReason.HUNG_UP, Side.REMOTE, "so long")
        assert listener.statistics.resumed == 2
    await until(lambda: not listener._web._guests)  # type: ignore[union-attr]
    assert not listener._running


async def test_a_verification_goes_on_too(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with answered(listener) as call:
        begun = asyncio.create_task(call.caller.verify(ALICE, BOB))
        await until(lambda: call.callee._their_commitment.done())
        call.line.cut()
        await call.back()
        joined = asyncio.create_task(call.callee.verify(BOB, ALICE))
        await until(lambda: call.caller._their_commitment.done())
        call.line.cut()
        assert await begun == await joined
        await call.back(2)
        await asyncio.sleep(0.1)  # everything is said once more
        assert call.caller.state is call.callee.state is State.CONNECTED


async def test_what_is_done_while_the_connection_is_lost(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with answered(listener) as call:
        call.line.refuses = True
        call.line.cut()
        await until(lambda: call.line.attempts >= 3)
        await call.callee.tell_path(Restart())  # is lost, and no error
        digits = asyncio.gather(call.caller.verify(ALICE, BOB), call.callee.verify(BOB, ALICE))
        await asyncio.sleep(0.1)
        assert not digits.done()
        call.line.refuses = False
        one, other = await digits
        assert one == other
        call.line.refuses = True
        call.line.cut()
        await until(lambda: call.told[call.caller] == call.told[call.callee] == [False, True, False])
        async with asyncio.timeout(1):
            await call.callee.hang_up()
        call.line.refuses = False
        async with asyncio.timeout(4):
            end = await call.caller.closed()
        assert (end.reason, end.detail) == (EndReason.REMOTE_GONE, "there is no such call any more")


async def test_the_former_connection_need_not_be_known_as_lost(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with raw_client(listener) as first, raw_client(listener) as second:
        await first.greet(resumable=True)
        await first.say("invite", sdp=OFFER)
        session = await (await next_call(listener)).accept(ANSWER, {})
        token = (await first.hear())["resume"]
        await second.greet(resume=token)
        assert await first.is_closed()
        await second.say("bye", message="from here")
        assert (await session.closed()).detail == "from here"


async def test_strangers_get_nowhere(start_listener: StartListener) -> None:
    listener = await start_listener(open=True)
    async with answered(listener) as call:
        for token, code in ((WRONG, "unknown-call"), ("", "bad-message"), (7, "bad-message")):
            async with raw_client(listener) as stranger:
                await stranger.say("hello", versions=[1], resume=token)
                assert (await stranger.hear())["code"] == code
                assert await stranger.is_closed()
        assert listener.statistics.resumptions_refused == 1
        assert listener.statistics.resumed == 0
        assert call.told == {call.caller: [], call.callee: []}
        heard: list[object] = []
        call.caller.on_path = heard.append
        await call.callee.tell_path(Restart())
        await until(lambda: heard == [Restart()])


async def test_a_token_is_worth_nothing_once_the_call_is_over(start_listener: StartListener) -> None:
    listener = await start_listener(resume_timeout=0.2)
    for hangs_up in (True, False):
        async with raw_client(listener) as caller:
            await caller.greet(resumable=True)
            await caller.say("invite", sdp=OFFER)
            session = await (await next_call(listener)).accept(ANSWER, {})
            token = (await caller.hear())["resume"]
            if hangs_up:
                await caller.say("bye")
        async with asyncio.timeout(1):
            end = await session.closed()
        assert end.reason is (EndReason.HUNG_UP if hangs_up else EndReason.REMOTE_GONE)
        async with raw_client(listener) as late:
            await late.say("hello", versions=[1], resume=token)
            assert (await late.hear())["code"] == "unknown-call"
    assert listener.statistics.resumptions_refused == 2


async def test_who_can_not_resume_gets_no_token_and_is_gone_at_once(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with raw_client(listener) as caller:
        await caller.invite()
        session = await (await next_call(listener)).accept(ANSWER, {})
        assert "resume" not in await caller.hear()
    async with asyncio.timeout(1):
        assert (await session.closed()).reason is EndReason.REMOTE_GONE


async def test_before_the_answer_a_lost_connection_ends_the_call(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with TcpRelay(listener.addresses[0][1]) as line:
        target = CallTarget.parse(line.address)
        outgoing = await dial(target, name="Alice", capabilities={}, offer_sdp=OFFER)
        incoming = await next_call(listener)
    async with asyncio.timeout(1):
        assert (await outgoing.closed()).reason is EndReason.REMOTE_GONE
        assert (await incoming.closed()).reason is EndReason.REMOTE_GONE
    with pytest.raises(CallEndedError):
        await incoming.accept(ANSWER, {})


@pytest.mark.parametrize("refuses", [True, False])
async def test_nobody_comes_back(start_listener: StartListener, refuses: bool) -> None:
    """The far end is gone: its line refuses, or another program listens there."""
    listener = await start_listener(resume_timeout=0.5)
    async with answered(listener, resume_timeout=1.0) as call:
        if not refuses:
            stranger = await start_listener()
            call.line.far_port = stranger.addresses[0][1]
        call.line.refuses = refuses
        call.line.cut()
        async with asyncio.timeout(3):
            ends = [await call.callee.closed(), await call.caller.closed()]
        assert [end.reason for end in ends] == [EndReason.REMOTE_GONE] * 2
        assert 2 <= call.line.attempts <= (5 if refuses else 2)
        if not refuses:
            assert stranger.statistics.resumptions_refused == 1
