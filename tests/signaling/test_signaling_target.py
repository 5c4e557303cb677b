"""What people type after ``softphone call``, and who may ring."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import ConfigError
from softphone.signaling.access import AccessPolicy
from softphone.signaling.target import DEFAULT_PORT, CallTarget, is_loopback


@pytest.mark.parametrize(
    ("text", "host", "port", "secret", "url"),
    [
        ("bob.example", "bob.example", DEFAULT_PORT, "", "ws://bob.example:7638/softphone"),
        (" bob.example:81 ", "bob.example", 81, "", "ws://bob.example:81/softphone"),
        ("bob:81#k3y-2", "bob", 81, "k3y-2", "ws://bob:81/softphone"),
        ("192.0.2.7", "192.0.2.7", DEFAULT_PORT, "", "ws://192.0.2.7:7638/softphone"),
        ("::1", "::1", DEFAULT_PORT, "", "ws://[::1]:7638/softphone"),
        ("[::1]", "::1", DEFAULT_PORT, "", "ws://[::1]:7638/softphone"),
        ("[2001:db8::7]:81#x", "2001:db8::7", 81, "x", "ws://[2001:db8::7]:81/softphone"),
        ("ws://bob", "bob", 80, "", "ws://bob/softphone"),
        ("wss://bob", "bob", 443, "", "wss://bob/softphone"),
        ("WSS://bob:7638/", "bob", 7638, "", "wss://bob:7638/softphone"),
        ("fe80::1%lo", "fe80::1%lo", DEFAULT_PORT, "", "ws://[fe80::1%lo]:7638/softphone"),
        ("wss://bob/phones/bob#s", "bob", 443, "s", "wss://bob/phones/bob"),
        (
            "bücher.example",
            "xn--bcher-kva.example",
            DEFAULT_PORT,
            "",
            "ws://xn--bcher-kva.example:7638/softphone",
        ),
    ],
)
def test_targets(text: str, host: str, port: int, secret: str, url: str) -> None:
    target = CallTarget.parse(text)
    assert (target.host, target.port, target.secret) == (host, port, secret)
    # yarl leaves a scheme's own port out when it writes a URL.
    assert str(target.url) == url or target.url.human_repr() == url


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no host"),
        (":81", "no host"),
        ("#secret", "no host"),
        ("[]:81", "no host"),
        ("bob:", "no port"),
        ("bob:0", "no port"),
        ("bob:65536", "no port"),
        ("bob:٣", "no port"),
        ("bob:eighty", "no port"),
        ("2001:db8::7:99999", "brackets"),
        ("a:b:c", "brackets"),
        ("[::1]81", "host name|brackets"),
        ("[::1", "host name|brackets"),
        ("[::g]:81", "IP address"),
        ("300.1.1.1", "IP address"),
        ("bob smith", "host name"),
        ("-bob", "host name"),
        ("bob..example", "host name"),
        ("x" * 64, "host name"),
        ("me@bob", "user name"),
        ("https://bob", "can't call https"),
        ("ws://", "no host"),
    ],
)
def test_bad_targets_say_what_to_do(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        CallTarget.parse(text)


@given(st.text())
def test_any_argument_is_a_target_or_a_config_error(text: str) -> None:
    try:
        target = CallTarget.parse(text)
    except ConfigError:
        return
    assert target.url.host


@pytest.mark.parametrize("text", ["bob:7638#abcd", "[2001:db8::7]:81", "wss://bob:7638#s"])
def test_argument_is_what_was_parsed(text: str) -> None:
    assert CallTarget.parse(text).argument == text


def test_secret_stays_out_of_repr() -> None:
    assert "hunter2" not in repr(CallTarget("bob", secret="hunter2"))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("bob", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_open_policy_admits_everybody() -> None:
    assert AccessPolicy().admits("")
    assert AccessPolicy().admits("whatever")


def test_token_policy() -> None:
    policy = AccessPolicy("correct horse")
    assert policy.admits("correct horse")
    assert not policy.admits("correct hors")
    assert not policy.admits("")
    assert not policy.admits("\N{GRINNING FACE}\ud800")
    policy.spend()
    assert policy.admits("correct horse")


def test_one_time_secret_is_renewed_when_spent() -> None:
    policy = AccessPolicy(one_time=True)
    first = policy.secret
    assert len(first) == 14
    assert policy.admits(first)
    policy.spend()
    assert policy.secret != first
    assert not policy.admits(first)
    assert policy.admits(policy.secret)


@pytest.mark.parametrize("token", ["short", "x" * 129, "with\nnewline", "accentué"])
def test_bad_tokens(token: str) -> None:
    with pytest.raises(ConfigError, match="token"):
        AccessPolicy(token)
