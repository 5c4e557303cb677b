"""Direct calls between a real listener and a real caller over loopback."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from signaling_peers import ANSWER, OFFER, StartListener, call, next_call, raw_client, target, until

from softphone.errors import ConfigError, PeerUnreachableError
from softphone.signaling import (
    Accepted,
    CallEndedError,
    CallSession,
    CallStateError,
    CallTarget,
    Ended,
    EndReason,
    ListenConfig,
    Listener,
    OutgoingCall,
    Ringing,
    Side,
    State,
    VerificationError,
    dial,
)
from tests.support.tcp_relay import TcpRelay

ALICE, BOB, MALLORY = (":".join([byte] * 32) for byte in ("A1", "B0", "66"))


async def connect(listener: Listener) -> tuple[OutgoingCall, CallSession, CallSession]:
    """An answered call: the caller's handle, its session, the callee's session."""
    outgoing = await call(listener)
    incoming = await next_call(listener)
    callee = await incoming.accept(ANSWER, {"dred_ms": 1000})
    return outgoing, (await outgoing.answered()).session, callee


async def test_answer(start_listener: StartListener) -> None:
    listener = await start_listener()
    outgoing = await call(listener, name="Alice \u202e", capabilities={"red": True, "codecs": ["opus"]})
    assert outgoing.state is State.INVITING
    incoming = await next_call(listener)
    assert incoming.name == "Alice"
    assert incoming.capabilities == {"red": True, "codecs": ("opus",)}
    assert incoming.offer_sdp == OFFER
    assert incoming.remote_address == "127.0.0.1"
    await incoming.ring()
    await incoming.ring()
    assert await anext(outgoing) == Ringing()
    assert str(outgoing.state) == "ringing"
    incoming.pick_up()
    assert incoming.state is State.ANSWERING
    callee = await incoming.accept(ANSWER, {"dred_ms": 1000})
    accepted = await anext(outgoing)
    assert isinstance(accepted, Accepted)
    assert (accepted.answer_sdp, accepted.name) == (ANSWER, "Bob")
    assert accepted.capabilities == {"dred_ms": 1000}
    assert accepted.session.remote.name == "Bob"
    with pytest.raises(StopAsyncIteration):
        await anext(outgoing)
    assert callee.state is accepted.session.state is State.CONNECTED
    assert await outgoing.answered() == accepted


@pytest.mark.parametrize("who", ["caller", "callee"])
async def test_hang_up(start_listener: StartListener, who: str) -> None:
    listener = await start_listener()
    _, caller, callee = await connect(listener)
    near, far = (caller, callee) if who == "caller" else (callee, caller)
    near_end = await near.hang_up("bye\x07 now")
    far_end = await far.closed()
    assert (near_end.reason, near_end.by) == (EndReason.HUNG_UP, Side.LOCAL)
    assert (far_end.reason, far_end.by, far_end.detail) == (EndReason.HUNG_UP, Side.REMOTE, "bye now")
    assert await near.hang_up() == near_end
    assert near.state is far.state is State.ENDED
    await until(lambda: listener._connection_caps.count == 0)
    assert listener.statistics.ended_hung_up == 1


async def test_both_hang_up_at_once(start_listener: StartListener) -> None:
    listener = await start_listener()
    _, caller, callee = await connect(listener)
    ends = await asyncio.gather(caller.hang_up(), callee.hang_up())
    assert [end.reason for end in ends] == [EndReason.HUNG_UP] * 2


async def test_decline(start_listener: StartListener) -> None:
    listener = await start_listener()
    outgoing = await call(listener)
    incoming = await next_call(listener)
    await incoming.ring()
    await incoming.decline("in a meeting")
    events = [event async for event in outgoing]
    assert events[0] == Ringing()
    assert isinstance(events[1], Ended)
    end = events[1].end
    assert (end.reason, end.by, end.detail) == (EndReason.DECLINED, Side.REMOTE, "in a meeting")
    with pytest.raises(CallEndedError, match="in a meeting"):
        await outgoing.answered()
    with pytest.raises(CallEndedError):
        await incoming.accept(ANSWER, {})
    assert listener.statistics.ended_declined == 1


async def test_busy_while_in_a_call(start_listener: StartListener) -> None:
    listener = await start_listener()
    _, caller, _ = await connect(listener)
    second = await call(listener)
    assert (await second.closed()).reason is EndReason.BUSY
    assert caller.state is State.CONNECTED
    await caller.hang_up()
    await until(lambda: not listener._answered)
    third = await call(listener)
    assert (await next_call(listener)).name == "Alice"
    await third.hang_up()


async def test_busy_because_the_owner_says_so(start_listener: StartListener) -> None:
    listener = await start_listener()
    listener.busy = True
    assert (await (await call(listener)).closed()).reason is EndReason.BUSY


async def test_answering_one_call_turns_the_others_away(start_listener: StartListener) -> None:
    listener = await start_listener()
    first, second = await call(listener), await call(listener)
    one, two = await next_call(listener), await next_call(listener)
    await two.accept(ANSWER, {})
    assert (await first.closed()).reason is EndReason.BUSY
    assert (await second.answered()).answer_sdp == ANSWER
    with pytest.raises(CallEndedError):
        await one.ring()


async def test_too_many_pending(start_listener: StartListener) -> None:
    listener = await start_listener(max_pending=3, max_pending_per_address=2)
    waiting = [await call(listener), await call(listener)]
    refused = await call(listener)
    assert (await refused.closed()).reason is EndReason.BUSY
    assert listener.statistics.pending_refused == 1
    await waiting[0].hang_up()
    await until(lambda: listener._pending_caps.count == 1)
    another = await call(listener)
    assert await next_call(listener)
    await asyncio.gather(waiting[1].hang_up(), another.hang_up())


async def test_caller_gives_up(start_listener: StartListener) -> None:
    listener = await start_listener()
    outgoing = await call(listener)
    incoming = await next_call(listener)
    await incoming.ring()
    await outgoing.hang_up("changed my mind")
    end = await incoming.closed()
    assert (end.reason, end.by, end.detail) == (EndReason.HUNG_UP, Side.REMOTE, "changed my mind")
    with pytest.raises(CallEndedError):
        await incoming.accept(ANSWER, {})


async def test_caller_who_gave_up_is_not_offered(start_listener: StartListener) -> None:
    listener = await start_listener()
    await (await call(listener, name="Early")).hang_up()
    await until(lambda: not listener._pending)
    outgoing = await call(listener, name="Late")
    assert (await next_call(listener)).name == "Late"
    await outgoing.hang_up()


async def test_nobody_answers_says_the_caller(start_listener: StartListener) -> None:
    listener = await start_listener()
    outgoing = await call(listener, answer_timeout=0.05)
    incoming = await next_call(listener)
    assert (await outgoing.closed()).reason is EndReason.TIMEOUT
    end = await incoming.closed()
    assert (end.reason, end.by) == (EndReason.TIMEOUT, Side.REMOTE)


async def test_nobody_answers_says_the_callee(start_listener: StartListener) -> None:
    listener = await start_listener(ring_timeout=0.05)
    outgoing = await call(listener)
    end = await outgoing.closed()
    assert (end.reason, end.by) == (EndReason.TIMEOUT, Side.REMOTE)
    assert listener.statistics.ended_timeout == 1


async def test_media_never_gets_ready(start_listener: StartListener) -> None:
    listener = await start_listener(ring_timeout=60, setup_timeout=0.05)
    outgoing = await call(listener)
    (await next_call(listener)).pick_up()
    assert (await outgoing.closed()).reason is EndReason.TIMEOUT


async def test_answered_call_outlives_the_timeouts(start_listener: StartListener) -> None:
    listener = await start_listener(ring_timeout=0.5, setup_timeout=0.5, hello_timeout=0.5)
    outgoing = await call(listener, answer_timeout=0.5)
    incoming = await next_call(listener)
    incoming.pick_up()
    callee = await incoming.accept(ANSWER, {})
    await outgoing.answered()
    await asyncio.sleep(0.8)
    assert callee.state is outgoing.state is State.CONNECTED


@pytest.mark.parametrize("answered", [False, True])
async def test_callee_dies(start_listener: StartListener, answered: bool) -> None:
    listener = await start_listener(resume_timeout=0.3)
    outgoing = await call(listener, resume_timeout=0.3)
    incoming = await next_call(listener)
    if answered:
        await incoming.accept(ANSWER, {})
        await outgoing.answered()
    assert listener._web is not None
    assert listener._server is not None
    listener._server.close()
    for transport in list(listener._web._guests):
        transport.abort()  # type: ignore[attr-defined]
    async with asyncio.timeout(1):
        end = await outgoing.closed()
    assert (end.reason, end.by) == (EndReason.REMOTE_GONE, Side.REMOTE)
    assert (await incoming.closed()).reason is EndReason.REMOTE_GONE
    assert listener.statistics.ended_remote_gone == 1


async def test_line_goes_dead_without_a_word(start_listener: StartListener) -> None:
    settings = {"heartbeat": 0.5, "resume_timeout": 0.5}
    listener = await start_listener(**settings)
    async with TcpRelay(listener.addresses[0][1]) as line:
        target = CallTarget.parse(line.address)
        outgoing = await dial(target, name="Alice", capabilities={}, offer_sdp=OFFER, **settings)
        callee = await (await next_call(listener)).accept(ANSWER, {})
        await outgoing.answered()
        await asyncio.sleep(1.2)
        assert callee.state is outgoing.state is State.CONNECTED  # heartbeats keep a quiet call alive
        line.refuses = True
        line.fall_silent()
        async with asyncio.timeout(4):
            ends = await asyncio.gather(callee.closed(), outgoing.closed())
    assert [end.reason for end in ends] == [EndReason.REMOTE_GONE] * 2


async def test_listener_closes(start_listener: StartListener) -> None:
    listener = await start_listener(max_calls=2)
    _, caller, _ = await connect(listener)
    pending = await call(listener)
    iteration = asyncio.create_task(_collect(listener))
    async with raw_client(listener):
        async with asyncio.timeout(2):
            await listener.close()
    ends = [await caller.closed(), await pending.closed()]
    assert [(end.reason, end.by) for end in ends] == [(EndReason.HUNG_UP, Side.REMOTE)] * 2
    assert len(await iteration) == 1
    with pytest.raises(PeerUnreachableError, match="can't connect"):
        await call(listener)
    await listener.close()


async def _collect(listener: Listener) -> list[object]:
    return [incoming async for incoming in listener]


async def test_methods_in_the_wrong_state(start_listener: StartListener) -> None:
    listener = await start_listener()
    outgoing = await call(listener)
    incoming = await next_call(listener)
    with pytest.raises(ConfigError, match="sdp"):
        await incoming.accept("no sdp", {})
    assert incoming.state is State.INVITING
    callee = await incoming.accept(ANSWER, {})
    for attempt in (incoming.accept(ANSWER, {}), incoming.ring(), incoming.decline()):
        with pytest.raises(CallStateError):
            await attempt
    with pytest.raises(CallStateError):
        incoming.pick_up()
    assert callee.state is State.CONNECTED
    await outgoing.hang_up()


async def test_verify(start_listener: StartListener) -> None:
    listener = await start_listener()
    _, caller, callee = await connect(listener)
    ours, theirs = await asyncio.gather(caller.verify(ALICE, BOB), callee.verify(BOB, f"sha-256 {ALICE}"))
    assert ours == theirs
    assert callee.state is caller.state is State.CONNECTED
    with pytest.raises(CallStateError, match="once"):
        await caller.verify(ALICE, BOB)


async def test_verify_long_after_the_peer(start_listener: StartListener) -> None:
    listener = await start_listener()
    _, caller, callee = await connect(listener)
    early = asyncio.create_task(callee.verify(BOB, ALICE))
    await asyncio.sleep(0.05)
    assert await caller.verify(ALICE, BOB) == await early


async def test_verify_finds_the_man_in_the_middle_and_ends_the_call(start_listener: StartListener) -> None:
    listener = await start_listener()
    _, caller, callee = await connect(listener)
    results = await asyncio.gather(
        caller.verify(ALICE, MALLORY), callee.verify(BOB, MALLORY), return_exceptions=True
    )
    assert any(isinstance(result, VerificationError) for result in results)
    assert not any(isinstance(result, str) for result in results)
    assert (await caller.closed()).reason is EndReason.ERROR
    assert (await callee.closed()).reason is EndReason.ERROR


async def test_verify_without_the_peer(start_listener: StartListener) -> None:
    listener = await start_listener()
    _, caller, callee = await connect(listener)
    with pytest.raises(VerificationError, match="take part"):
        await caller.verify(ALICE, BOB, within=0.05)
    assert callee.state is caller.state is State.CONNECTED


async def test_verify_while_the_call_ends(start_listener: StartListener) -> None:
    listener = await start_listener()
    _, caller, callee = await connect(listener)
    waiting = asyncio.create_task(caller.verify(ALICE, BOB))
    await asyncio.sleep(0.02)
    await callee.hang_up()
    with pytest.raises(CallEndedError):
        await waiting


async def test_verify_before_the_answer(start_listener: StartListener) -> None:
    listener = await start_listener()
    outgoing = await call(listener)
    with pytest.raises(CallStateError):
        await outgoing._session.verify(ALICE, BOB)
    callee = await (await next_call(listener)).accept(ANSWER, {})
    caller = (await outgoing.answered()).session
    ours, theirs = await asyncio.gather(caller.verify(ALICE, BOB), callee.verify(BOB, ALICE))
    assert ours == theirs
    await outgoing.hang_up()
    with pytest.raises(CallEndedError):
        await caller.verify(ALICE, BOB)


async def test_nobody_listens() -> None:
    listener = Listener(ListenConfig(port=0))
    (_, port), *_ = await listener.start()
    await listener.close()
    with pytest.raises(PeerUnreachableError, match="is a softphone listening"):
        await dial(CallTarget("127.0.0.1", port), name="", capabilities={}, offer_sdp=OFFER)


async def test_something_listens_and_says_nothing() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    where = CallTarget("127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(PeerUnreachableError, match="did not answer within"):
        await dial(where, name="", capabilities={}, offer_sdp=OFFER, connect_timeout=0.1)
    server.close()


async def test_bad_offer_never_reaches_the_network(start_listener: StartListener) -> None:
    listener = await start_listener()
    with pytest.raises(ConfigError, match="sdp"):
        await call(listener, offer_sdp="junk")
    assert listener.statistics.connections == 0


async def test_port_in_use_says_what_to_do(start_listener: StartListener) -> None:
    listener = await start_listener()
    with pytest.raises(ConfigError, match="choose another"):
        await Listener(ListenConfig(port=listener.addresses[0][1])).start()


@pytest.mark.parametrize(
    "settings",
    [
        {"token": "long enough", "open": True},
        {"token": "short"},
        {"port": 70_000},
        {"hello_timeout": 0},
        {"max_calls": 0},
        {"max_pending": 0},
        {"connection_rate": 0},
    ],
)
def test_senseless_settings(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Listener(ListenConfig(**settings))  # type: ignore[arg-type]


async def test_two_hundred_calls_in_a_row_leave_nothing_behind(start_listener: StartListener) -> None:
    listener = await start_listener(connection_rate=1e6, connection_burst=1e6)
    tasks = len(asyncio.all_tasks())
    for _ in range(200):
        outgoing = await call(listener)
        await (await next_call(listener)).accept(ANSWER, {})
        await outgoing.answered()
        await outgoing.hang_up()
        await until(lambda: not listener._answered)
    await until(lambda: listener._connection_caps.count == 0)
    assert listener.statistics.ended_hung_up == 200
    assert not listener._pending
    assert not listener._arrived
    await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_secure_call(start_listener: StartListener, tmp_path: Path) -> None:
    certificate = _self_signed(tmp_path)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate)
    listener = await start_listener(tls=server_tls)
    port = listener.addresses[0][1]
    where = CallTarget.parse(f"wss://localhost:{port}")
    client_tls = ssl.create_default_context(cafile=str(certificate))
    outgoing = await dial(where, name="Alice", capabilities={}, offer_sdp=OFFER, tls=client_tls)
    assert (await next_call(listener)).name == "Alice"
    await outgoing.hang_up()
    with pytest.raises(PeerUnreachableError, match="no secure connection"):
        await dial(where, name="Alice", capabilities={}, offer_sdp=OFFER)
    assert listener.invitation("localhost").argument == f"wss://localhost:{port}"


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "phone.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_target_helper_matches_invitation(start_listener: StartListener) -> None:
    listener = await start_listener()
    assert listener.invitation("127.0.0.1") == target(listener)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6(start_listener: StartListener) -> None:
    try:
        listener = await start_listener(host="::1")
    except ConfigError:
        pytest.skip("no IPv6 loopback here")
    where = CallTarget.parse(f"[::1]:{listener.addresses[0][1]}")
    outgoing = await dial(where, name="Alice", capabilities={}, offer_sdp=OFFER)
    assert (await next_call(listener)).remote_address == "::1"
    await outgoing.hang_up()
