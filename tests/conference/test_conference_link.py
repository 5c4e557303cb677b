"""Links into rooms, and which certificates are believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import ConfigError
from softphone.rooms.link import RoomLink
from softphone.rooms.trust import ServerTrust


@pytest.mark.parametrize(
    ("text", "url", "room", "token"),
    [
        ("https://talk.example.org/r/standup", "wss://talk.example.org/ws", "standup", ""),
        ("https://talk.example.org/r/standup/", "wss://talk.example.org/ws", "standup", ""),
        ("http://127.0.0.1:7640/r/a#k7d2-m9xq", "ws://127.0.0.1:7640/ws", "a", "k7d2-m9xq"),
        ("https://[2001:db8::7]:7640/r/2-b#e.y_J-x", "wss://[2001:db8::7]:7640/ws", "2-b", "e.y_J-x"),
        ("  https://h/r/x#tok&lang=de&flag  ", "wss://h/ws", "x", "tok"),
    ],
)
def test_links_as_the_server_prints_them(text: str, url: str, room: str, token: str) -> None:
    link = RoomLink.parse(text)
    assert (str(link.url), link.room, link.token) == (url, room, token)
    assert token not in str(link.url) or not token


def test_what_stands_behind_the_token_is_kept_and_not_shown() -> None:
    link = RoomLink.parse("https://h/r/x#secret-token&key=a=b&key2=&flag")
    assert dict(link.options) == {"key": "a=b", "key2": "", "flag": ""}
    assert "secret" not in repr(link)
    assert link.address == "h:443"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "standup",
        "talk.example.org/r/standup",
        "wss://h/r/x",
        "https://h/",
        "https://h/room/x",
        "https://h/r/",
        "https://h/r/UPPER",
        "https://h/r/-x",
        "https://h/r/x/y",
        "https://h/r/" + 65 * "x",
        "https://h:0x50/r/x",
        "https://h:99999/r/x",
        "https://user@h/r/x",
        "https://h/r/x?a=b",
        "https://h/r/x#" + 2049 * "t",
        "https://h/r/x#t\N{BELL}",
        "https://h/r/x#é",
        "https:///r/x",
    ],
)
def test_what_is_no_link_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ConfigError, match=r"https://HOST/r/ROOM"):
        RoomLink.parse(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    for address in (text, f"https://{text}", f"https://h/r/{text}", f"https://h/r/x#{text}"):
        try:
            link = RoomLink.parse(address)
        except ConfigError:
            continue
        assert link.url.path == "/ws"


def test_trust_is_either_the_authorities_or_one_certificate_or_anything() -> None:
    assert ServerTrust().ssl is True
    assert ServerTrust(insecure=True).ssl is False
    pinned = ServerTrust(fingerprint=":".join(["AB"] * 32)).ssl
    assert not isinstance(pinned, bool)
    assert pinned.fingerprint == 32 * b"\xab"
    assert ServerTrust(fingerprint="ab" * 32).ssl is not True


@pytest.mark.parametrize("fingerprint", ["AB", "zz" * 32, ":".join(["AB"] * 31), "AB:CD"])
def test_malformed_fingerprints_are_refused(fingerprint: str) -> None:
    with pytest.raises(ConfigError, match="fingerprint"):
        ServerTrust(fingerprint=fingerprint)


def test_a_fingerprint_and_no_check_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="choose one"):
        ServerTrust(fingerprint="ab" * 32, insecure=True)
