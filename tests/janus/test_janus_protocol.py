"""The session protocol without a server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import RemoteProtocolError
from softphone.rooms.janus.protocol import (
    KEEPALIVE_INTERVAL,
    Answered,
    Event,
    Failed,
    HandleChanged,
    HandleEvent,
    HandleSignal,
    JanusProtocol,
    SessionEnded,
)
from softphone.rooms.janus.ticket import TicketOffice, api_token, feed_display, level_id_of, new_feed
from softphone.rooms.janus.videoroom import Feed, feeds


def reply(protocol: JanusProtocol, **message: Any) -> Event | None:
    return protocol.receive(json.dumps(message))


def opened(token: str = "") -> JanusProtocol:
    protocol = JanusProtocol(token)
    transaction, _ = protocol.create(0.0)
    reply(protocol, janus="success", transaction=transaction, data={"id": 7})
    return protocol


def test_a_session_goes_into_every_request_but_the_first_and_info() -> None:
    protocol = JanusProtocol("word")
    _, text = protocol.create(0.0)
    assert json.loads(text) == {"janus": "create", "transaction": "1", "token": "word"}
    assert reply(protocol, janus="success", transaction="1", data={"id": 7}) == Answered("1", {"id": 7})
    assert json.loads(protocol.attach("plug-in", 1.0)[1]) == {
        "janus": "attach",
        "transaction": "2",
        "plugin": "plug-in",
        "session_id": 7,
        "token": "word",
    }
    assert "session_id" not in json.loads(protocol.info(1.0)[1])


def test_an_acknowledged_message_is_answered_by_its_event() -> None:
    protocol = opened()
    transaction, text = protocol.message(3, {"request": "join"}, {"type": "offer", "sdp": "v=0"}, 1.0)
    assert json.loads(text)["jsep"] == {"type": "offer", "sdp": "v=0"}
    assert reply(protocol, janus="ack", transaction=transaction) is None
    event = {
        "janus": "event",
        "sender": 3,
        "transaction": transaction,
        "plugindata": {"data": {"videoroom": "joined"}},
        "jsep": {"type": "answer", "sdp": "v=0"},
    }
    answer = Answered(transaction, {"videoroom": "joined"}, {"type": "answer", "sdp": "v=0"})
    assert reply(protocol, **event) == answer
    # The same again belongs to no request.
    assert isinstance(reply(protocol, **event), HandleEvent)


@pytest.mark.parametrize(
    "message",
    [
        {"janus": "error", "error": {"code": 458, "reason": "No such session"}},
        {"janus": "event", "plugindata": {"data": {"error_code": 458, "error": "No such session"}}},
        {"janus": "success", "plugindata": {"data": {"error_code": 458, "error": "No such session"}}},
    ],
)
def test_errors_come_in_three_shapes(message: dict[str, Any]) -> None:
    protocol = opened()
    transaction, _ = protocol.message(3, {}, None, 1.0)
    event = reply(protocol, transaction=transaction, **message)
    assert isinstance(event, Failed)
    assert (event.error.code, event.error.reason) == (458, "No such session")


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"janus": "webrtcup", "sender": 3}, HandleChanged(3, HandleSignal.WEBRTC_UP)),
        ({"janus": "hangup", "sender": 3, "reason": "ICE"}, HandleChanged(3, HandleSignal.HANGUP, "ICE")),
        ({"janus": "media", "sender": 3, "type": "audio"}, HandleChanged(3, HandleSignal.MEDIA)),
        ({"janus": "detached", "sender": 3}, HandleChanged(3, HandleSignal.DETACHED)),
        ({"janus": "timeout", "session_id": 7}, SessionEnded()),
        ({"janus": "event", "sender": 3, "plugindata": {"data": {"a": 1}}}, HandleEvent(3, {"a": 1})),
        ({"janus": "event", "sender": 3}, HandleEvent(3, {})),
        ({"janus": "event", "sender": 3, "plugindata": 5, "jsep": 5}, HandleEvent(3, {})),
        ({"janus": "event", "sender": "x"}, None),
        ({"janus": "error", "transaction": "unknown"}, None),
        ({"janus": "ack", "transaction": "unknown"}, None),
        ({"janus": "news", "sender": 3}, None),
        ({"janus": "success", "transaction": ["1"]}, None),
    ],
)
def test_what_janus_says_on_its_own(message: dict[str, Any], event: Event | None) -> None:
    assert reply(opened(), **message) == event


def test_a_session_is_kept_alive_by_any_request() -> None:
    protocol = opened()
    protocol.attach("plug-in", 10.0)
    assert protocol.keepalive_due() == 10.0 + KEEPALIVE_INTERVAL
    transaction, _ = protocol.keepalive(35.0)
    assert reply(protocol, janus="ack", transaction=transaction) == Answered(transaction, {})
    assert protocol.keepalive_due() == 35.0 + KEEPALIVE_INTERVAL


def test_an_ended_session_is_forgotten() -> None:
    protocol = opened()
    reply(protocol, janus="timeout", session_id=7)
    assert protocol.session is None


@pytest.mark.parametrize("answer", [{}, {"data": 5}, {"data": {"id": "7"}}])
def test_a_session_without_a_number_is_none(answer: dict[str, Any]) -> None:
    protocol = JanusProtocol()
    transaction, _ = protocol.create(0.0)
    with pytest.raises(RemoteProtocolError):
        reply(protocol, janus="success", transaction=transaction, **answer)


_TEXT = st.text("abid10", max_size=4)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_WORDS = st.sampled_from(["success", "event", "error", "ack", "timeout", "hangup", "media", "server_info"])
_MESSAGES = st.fixed_dictionaries(
    {"janus": _WORDS | _JSON},
    optional={
        "transaction": st.sampled_from(["1", "2", "3"]) | _JSON,
        "sender": st.integers(0, 9) | _JSON,
        "plugindata": st.fixed_dictionaries({"data": _JSON}) | _JSON,
        "data": _JSON,
        "error": _JSON,
        "jsep": _JSON,
    },
)


@given(st.lists(_MESSAGES, max_size=6))
def test_no_message_breaks_anything(messages: list[dict[str, Any]]) -> None:
    protocol = opened()
    protocol.message(3, {}, None, 1.0)
    protocol.attach("plug-in", 1.0)
    for message in messages:
        try:
            event = reply(protocol, **message)
        except RemoteProtocolError:
            continue
        if isinstance(event, HandleEvent):
            feeds(event.data)


@given(st.text('{}[]":,0e1nul\\\0é', max_size=40))
def test_no_text_breaks_anything(text: str) -> None:
    try:
        opened().receive(text)
    except RemoteProtocolError:
        return


def test_feeds_are_read_from_what_is_well_formed() -> None:
    listed = [{"id": "a.1", "display": "x"}, {"id": "b"}, {"id": 5}, "c", {"display": "y"}]
    assert feeds({"publishers": listed}) == (Feed("a.1", "x"), Feed("b"))
    assert feeds({"publishers": 5}) == feeds({}) == ()


def test_tickets_depend_on_secret_room_and_participant() -> None:
    office = TicketOffice("a secret of the tests")
    derived = {
        office.token("team", "alice"),
        office.token("team", "bob"),
        office.token("other", "alice"),
        office.seal("team", "alice"),
        office.room_secret("team"),
        TicketOffice("another secret of the tests").token("team", "alice"),
    }
    assert len(derived) == 6
    assert TicketOffice("a secret of the tests").token("team", "alice") in derived
    feed = new_feed("alice")
    assert office.sealed("team", feed, feed_display(office.seal("team", "alice"), 2))
    assert not office.sealed("team", feed, feed_display(office.seal("team", "bob"), 2))
    assert not office.sealed("other", feed, office.seal("team", "alice"))
    assert not office.sealed("team", feed, "")


@pytest.mark.parametrize(("display", "number"), [("s.2", 2), ("s.14", 14), ("s", 0), ("s.15", 0), ("s.x", 0)])
def test_the_number_of_the_level_is_read_with_care(display: str, number: int) -> None:
    assert level_id_of(display) == number


def test_a_signed_token_is_what_janus_computes() -> None:
    token = api_token("janus", 1_700_000_000)
    assert token == "1700000000,janus,janus.plugin.videoroom:8YthpHgLHAOwcp64sE1Kz76oU4Q="
