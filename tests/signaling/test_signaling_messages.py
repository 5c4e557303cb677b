"""The parser: what is a message, and that nothing else is."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signaling_peers import ANSWER, OFFER

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.signaling.errors import MessageTooLargeError, VersionMismatchError
from softphone.signaling.messages import (
    DIRECT_CALL,
    MAX_MESSAGE_BYTES,
    Answer,
    Busy,
    Bye,
    Decline,
    Error,
    Hello,
    Invite,
    Message,
    Reanswer,
    Reoffer,
    Restart,
    RingingNotice,
    SasCommit,
    SasReveal,
    Welcome,
    choose_version,
    encode,
)
from softphone.signaling.states import EndReason

EXAMPLES: list[Message] = [
    Hello(
        versions=(1, 2),
        name="Zoë",
        capabilities={"red": True, "dred.ms": 1000, "codecs": ("opus",)},
        token="x",
        resumable=True,
    ),
    Hello(versions=(1,), resume=bytes(range(32))),
    Hello(versions=(1,)),
    Welcome(version=1),
    Invite(sdp=OFFER),
    RingingNotice(),
    Answer(sdp=ANSWER, name="Bob", capabilities={"loss": 0.5}, resume=bytes(32)),
    Decline(message="not now"),
    Busy(),
    Bye(reason=EndReason.TIMEOUT, message="nobody there"),
    Bye(),
    Error(code="bad-message", message="what?"),
    SasCommit(commitment=bytes(32)),
    SasReveal(nonce=bytes(range(32))),
    Restart(),
    Reoffer(sdp=OFFER),
    Reanswer(sdp=ANSWER),
]

VALID: dict[str, dict[str, Any]] = {message.TYPE: json.loads(encode(message)) for message in EXAMPLES}


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: message.TYPE)
def test_round_trip(message: Message) -> None:
    assert DIRECT_CALL.parse(encode(message)) == message


def test_every_type_has_an_example() -> None:
    assert {message.TYPE for message in EXAMPLES} == set(DIRECT_CALL.kinds)


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("hello", {"versions": []}, "versions"),
        ("hello", {"versions": [True]}, "versions"),
        ("hello", {"versions": [1.0]}, "versions"),
        ("hello", {"versions": [0]}, "versions"),
        ("hello", {"versions": list(range(1, 18))}, "versions"),
        ("hello", {"versions": None}, "versions"),
        ("hello", {"name": 5}, "name"),
        ("hello", {"name": "x" * 257}, "name"),
        ("hello", {"name": "\ud800"}, "surrogate"),
        ("hello", {"capabilities": []}, "capabilities"),
        ("hello", {"capabilities": {"Upper": 1}}, "capabilities"),
        ("hello", {"capabilities": {"a": {"nested": 1}}}, "capabilities"),
        ("hello", {"capabilities": {"a": [[1]]}}, "capabilities"),
        ("hello", {"capabilities": {"a": None}}, "capabilities"),
        ("hello", {"capabilities": {"a": 2**53}}, "capabilities"),
        ("hello", {"capabilities": {"a": "x" * 129}}, "capabilities"),
        ("hello", {"capabilities": {"a": [0] * 33}}, "capabilities"),
        ("hello", {"capabilities": {f"k{n}": 0 for n in range(33)}}, "capabilities"),
        ("hello", {"token": "x" * 129}, "token"),
        ("welcome", {"version": "1"}, "version"),
        ("invite", {"sdp": ""}, "sdp"),
        ("invite", {"sdp": "hello"}, "sdp"),
        ("invite", {"sdp": "v=0\r\ns=-\r\n"}, "media"),
        ("invite", {"sdp": OFFER + "\x00"}, "control"),
        ("invite", {"sdp": OFFER + "\x1b[2J"}, "control"),
        ("invite", {"sdp": OFFER + "x" * 32_768}, "sdp"),
        ("invite", {"extra": 1}, "unknown member"),
        ("ringing", {"loud": True}, "unknown member"),
        ("bye", {"reason": "declined"}, "reason"),
        ("bye", {"reason": ["hung-up"]}, "reason"),
        ("bye", {"message": "x" * 801}, "message"),
        ("error", {"code": "Bad Code"}, "code"),
        ("error", {"code": "x" * 33}, "code"),
        ("sas-commit", {"commitment": "00" * 31}, "commitment"),
        ("sas-commit", {"commitment": "AA" * 32}, "commitment"),
        ("sas-commit", {"commitment": 7}, "commitment"),
        ("sas-reveal", {"nonce": "zz" * 32}, "nonce"),
    ],
)
def test_bad_values_are_refused(kind: str, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        DIRECT_CALL.parse(json.dumps({**VALID[kind], **change}))


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("hello", "versions"),
        ("welcome", "version"),
        ("invite", "sdp"),
        ("answer", "sdp"),
        ("error", "code"),
        ("sas-commit", "commitment"),
        ("sas-reveal", "nonce"),
    ],
)
def test_missing_members_are_refused(kind: str, member: str) -> None:
    members = {name: value for name, value in VALID[kind].items() if name != member}
    with pytest.raises(RemoteProtocolError, match="lacks"):
        DIRECT_CALL.parse(json.dumps(members))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"ringing"',
        "{}",
        '{"type":null}',
        '{"type":["ringing"]}',
        '{"type":"join"}',
        '{"type":"ringing","type":"busy"}',
        '{"type":"ringing"} ',
        '{"type":"ringing"}x',
        '{"type":"hello","versions":[1],"capabilities":{"a":NaN}}',
        '{"type":"hello","versions":[1],"capabilities":{"a":1e999}}',
        '{"type":"hello","versions":[' + "9" * 5000 + "]}",
        "[" * 60_000,
        '{"a":' * 10_000,
        "\ud800",
        "\x00",
    ],
    ids=range(18),
)
def test_garbage(text: str) -> None:
    if text.endswith("} "):  # white space around JSON is JSON
        assert DIRECT_CALL.parse(text) == RingingNotice()
    else:
        with pytest.raises(RemoteProtocolError):
            DIRECT_CALL.parse(text)


def test_size_limit_counts_bytes() -> None:
    padding = MAX_MESSAGE_BYTES - len('{"type":"ringing"}')
    assert DIRECT_CALL.parse('{"type":"ringing"}' + " " * padding) == RingingNotice()
    with pytest.raises(MessageTooLargeError):
        DIRECT_CALL.parse('{"type":"ringing"}' + " " * (padding + 1))
    with pytest.raises(MessageTooLargeError):
        DIRECT_CALL.parse(json.dumps({"type": "decline", "message": "é" * 40_000}, ensure_ascii=False))


def test_hello_of_a_later_version_is_understood() -> None:
    hello = DIRECT_CALL.parse('{"type":"hello","versions":[1,2],"shoe-size":{"left":[43]}}')
    assert hello == Hello(versions=(1, 2))


@pytest.mark.parametrize(("offered", "chosen"), [((1,), 1), ((1, 2), 1), ((3, 1), 1)])
def test_version_choice(offered: tuple[int, ...], chosen: int) -> None:
    assert choose_version(offered) == chosen


def test_no_common_version() -> None:
    with pytest.raises(VersionMismatchError):
        choose_version((2, 3))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("  Ann \t\n Lee ", "Ann Lee"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("\x1b[31mred\x07", "[31mred"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("line\u2028break", "line break"),
        ("e\u0301", "é"),
        ("\u2066\u2069", ""),
        ("x" * 100, "x" * 64),
        ("عمر 李", "عمر 李"),
    ],
)
def test_names_are_safe_to_print(raw: str, shown: str) -> None:
    hello = DIRECT_CALL.parse(json.dumps({"type": "hello", "versions": [1], "name": raw}))
    assert isinstance(hello, Hello)
    assert hello.name == shown


def test_token_stays_out_of_logs() -> None:
    assert "hunter2" not in repr(Hello(versions=(1,), token="hunter2"))
    token = bytes(range(32))
    for message in (Hello(versions=(1,), resume=token), Answer(sdp=ANSWER, resume=token)):
        assert repr(token) not in repr(message)


@pytest.mark.parametrize(
    "message",
    [
        Invite(sdp="not sdp"),
        Invite(sdp=OFFER + "x" * 70_000),
        Hello(versions=()),
        replace(Answer(sdp=ANSWER), capabilities={"a": object()}),  # type: ignore[dict-item]
        replace(Answer(sdp=ANSWER), capabilities=None),  # type: ignore[arg-type]
        Decline(message="x" * 1000),
    ],
    ids=range(6),
)
def test_our_own_mistakes_are_local_errors(message: Message) -> None:
    with pytest.raises(ConfigError, match="can't send"):
        encode(message)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
members = (
    st.sampled_from(["versions", "version", "name", "capabilities", "token", "sdp", "message", "reason"])
    | st.text()
)


def parse_or_refuse(text: str) -> None:
    try:
        message = DIRECT_CALL.parse(text)
    except RemoteProtocolError:
        return
    # What was accepted can be said again, and means the same.
    assert DIRECT_CALL.parse(encode(message)) == message


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text(alphabet='{}[]":,0123456789.eE+-truefalsnvyp \\u'))
def test_any_text(text: str) -> None:
    parse_or_refuse(text)


@settings(max_examples=200, deadline=None)
@given(json_values)
def test_any_json(value: object) -> None:
    parse_or_refuse(json.dumps(value))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(DIRECT_CALL.kinds)),
    st.dictionaries(members, json_values, max_size=4),
    st.booleans(),
)
def test_any_members(kind: str, changes: dict[str, object], keep: bool) -> None:
    parse_or_refuse(json.dumps({**(VALID[kind] if keep else {}), **changes, "type": kind}))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(EXAMPLES), st.integers(0, 4000), st.integers(0, 3), st.text(max_size=3))
def test_mutated_messages(message: Message, at: int, cut: int, insert: str) -> None:
    text = encode(message)
    at %= len(text) + 1
    parse_or_refuse(text[:at] + insert + text[at + cut :])
