import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import RemoteProtocolError
from softphone.webrtc.capabilities import DRED_VERSION, Capabilities


def test_our_own_survive_json() -> None:
    local = Capabilities.local(agent="softphone/1")
    assert local.dred_version == DRED_VERSION
    assert local.dred_ms == 1040
    assert Capabilities.from_json(json.loads(json.dumps(local.to_json()))) == local


def test_unknown_keys_are_ignored_and_missing_ones_default() -> None:
    assert Capabilities.from_json({"dred_ms": 500, "teleport": True}) == Capabilities(dred_ms=500)
    assert Capabilities.from_json({}) == Capabilities()


def test_numbers_are_clamped_and_text_is_cleaned() -> None:
    peer = Capabilities.from_json({"dred_ms": 10**9, "dred_version": -4, "agent": "x\x1b[2J" + "y" * 500})
    assert (peer.dred_ms, peer.dred_version) == (1040, 0)
    assert peer.agent.startswith("x[2J")
    assert len(peer.agent) <= 64


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {"dred_ms": "500"}, {"dred_ms": True}, {"red": 1}, {"agent": 5}, {"dred_ms": 1.5}],
)
def test_wrong_types_are_the_peers_fault(value: object) -> None:
    with pytest.raises(RemoteProtocolError):
        Capabilities.from_json(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    json_values | st.dictionaries(st.sampled_from(["dred_ms", "red", "agent", "dred_version"]), json_values)
)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        peer = Capabilities.from_json(value)
    except RemoteProtocolError:
        return
    assert 0 <= peer.dred_ms <= 1040
