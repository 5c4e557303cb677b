"""What the endpoints answer, also to those who do not mean well."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whip_served import Served
from yarl import URL

from softphone.errors import ConfigError, PeerUnreachableError, RemoteProtocolError
from softphone.rooms.access import Access
from softphone.rooms.tokens import Invitation
from softphone.rooms.whip import WhipClient, WhipTarget
from softphone.rooms.whip.client import _session_url
from softphone.rooms.whip.descriptions import check_offer, parse_fragment
from softphone.rooms.whip.errors import RequestRefusedError
from softphone.signaling.errors import CallRefusedError
from tests.conference.rooms import until

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=mid:0",
        "a=sendonly",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "",
    ]
)
SECOND_AUDIO = OFFER[OFFER.index("m=audio") :].replace("a=mid:0", "a=mid:1")


async def answer(served: Served, method: str, path: str, **request: Any) -> tuple[int, Any, str]:
    async with served.http.request(method, served.url + path, **request) as response:
        return response.status, response.headers, await response.text()


async def test_a_session_is_made_named_and_ended(serve: Any) -> None:
    served: Served = await serve()
    status, headers, sdp = await answer(served, "POST", "/whip/test", data=OFFER, headers=SDP)
    assert status == 201
    assert headers["Content-Type"].startswith("application/sdp")
    assert sdp.startswith("v=0\r\n")
    assert "a=recvonly" in sdp
    session, etag = headers["Location"], headers["ETag"]
    assert session.startswith("/whip/test/")
    candidates = "a=ice-ufrag:abcd\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + (
        "a=candidate:1 1 udp 2122260223 127.0.0.1 51234 typ host\r\na=end-of-candidates\r\n"
    )
    patch = {**FRAGMENT, "If-Match": etag}
    assert (await answer(served, "PATCH", session, data=candidates, headers=patch))[0] == 204
    restart = candidates.replace("abcd", "efgh")
    assert (await answer(served, "PATCH", session, data=restart, headers=patch))[0] == 422
    assert (await answer(served, "PATCH", session, data=candidates, headers=FRAGMENT))[0] == 428
    other = {**FRAGMENT, "If-Match": '"other"'}
    assert (await answer(served, "PATCH", session, data=candidates, headers=other))[0] == 412
    assert (await answer(served, "PATCH", session, data=candidates, headers=SDP))[0] == 415
    assert (await answer(served, "PATCH", session, data="a=x", headers=patch))[0] == 400
    assert (await answer(served, "GET", session))[0] == 405
    assert (await answer(served, "DELETE", session.replace("whip", "whep")))[0] == 404
    assert (await answer(served, "DELETE", session))[0] == 200
    assert (await answer(served, "DELETE", session))[0] == 404
    assert served.gateway.sessions == 0
    await until(lambda: not served.rooms.server.hub.rooms, what="the room is empty")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/whip/test", lambda offer: "", 400),
        ("/whip/test", lambda offer: "v=1", 400),
        ("/whip/test", lambda offer: offer.replace("opus", "PCMU"), 400),
        ("/whip/test", lambda offer: offer.replace("a=rtcp-mux\r\n", ""), 400),
        ("/whip/test", lambda offer: offer + SECOND_AUDIO, 422),
        ("/whip/test", lambda offer: offer.replace("sendonly", "recvonly"), 422),
        ("/whip/test", lambda offer: offer.replace("sendonly", "inactive"), 422),
        ("/whep/test", lambda offer: offer, 422),
        ("/whip/test", lambda offer: offer + "a=x\r\n" * 20_000, 413),
        ("/whip/test", lambda offer: b"\xff\xfe", 400),
        ("/whip/Not_A_Room", lambda offer: offer, 404),
        ("/whip/", lambda offer: offer, 404),
    ],
)
async def test_bad_offers_make_nothing(serve: Any, path: str, change: Any, status: int) -> None:
    served: Served = await serve()
    assert (await answer(served, "POST", path, data=change(OFFER), headers=SDP))[0] == status
    assert served.gateway.sessions == 0
    assert not served.rooms.server.hub.rooms  # type: ignore[union-attr]


async def test_only_the_methods_and_types_of_the_standard(serve: Any) -> None:
    served: Served = await serve()
    assert (await answer(served, "GET", "/whip/test"))[0] == 405
    assert (await answer(served, "POST", "/whip/test", data=OFFER))[0] == 415
    status, headers, _ = await answer(served, "OPTIONS", "/whip/test")
    assert (status, headers["Accept-Post"]) == (204, "application/sdp")
    assert (await answer(served, "PATCH", "/whip/test/aaaaaaaaaaaaaaaaaaaaaa"))[0] == 404


async def test_tokens_are_asked_for_and_checked(serve: Any) -> None:
    served: Served = await serve(access=Access.INVITATION)
    server = served.rooms.server
    assert server is not None
    now = time.time()

    async def post(token: str, room: str = "test") -> int:
        headers = {**SDP, "Authorization": f"Bearer {token}"} if token else SDP
        return (await answer(served, "POST", f"/whip/{room}", data=OFFER, headers=headers))[0]

    good = server.invite(Invitation(room="test", expires=now + 60, name="Radio"), now)
    late = server.invite(Invitation(room="test", expires=now - 60, name="Radio"), now - 120)
    assert await post("") == 401
    assert await post("forged") == 401
    assert await post(late) == 401
    assert await post(good, room="other") == 403
    basic = {**SDP, "Authorization": "Basic eDp5"}
    assert (await answer(served, "POST", "/whip/test", data=OFFER, headers=basic))[0] == 401
    assert await post(good) == 201
    (room,) = server.hub.rooms.values()
    assert [person.name for person in room.people.values()] == ["Radio"]


async def test_pages_of_other_origins_stay_out(serve: Any) -> None:
    served: Served = await serve(allowed_origins=frozenset({"https://friend.example"}))
    for origin, status in (("https://evil.example", 403), ("null", 403), ("https://friend.example", 201)):
        headers = {**SDP, "Origin": origin}
        assert (await answer(served, "POST", "/whip/test", data=OFFER, headers=headers))[0] == status


async def test_a_locked_room_and_a_full_gateway_say_so(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served: Served = await serve()
    alice = await served.rooms.join("Alice")
    alice.conference.room.set_rules(lobby=True)
    await until(lambda: alice.conference.roster.lobby, what="the lobby")
    status, _, text = await answer(served, "POST", "/whip/test", data=OFFER, headers=SDP)
    assert (status, "lobby" in text) == (403, True)
    monkeypatch.setattr("softphone.rooms.whip.gateway.MAX_SESSIONS", 0)
    status, headers, _ = await answer(served, "POST", "/whip/test", data=OFFER, headers=SDP)
    assert (status, "Retry-After" in headers) == (503, True)


@given(st.text(max_size=200) | st.text("a=mvix audio:09\r\n", max_size=200))
def test_no_offer_raises_anything_else(text: str) -> None:
    with pytest.raises(RequestRefusedError):
        check_offer(text, publishes=True)


@given(
    st.lists(
        st.sampled_from(["a=candidate:x", "a=ice-ufrag:y", "a=ice-ufrag:z", "a=end-of-candidates", "m=a"])
    )
)
def test_fragments_are_read_or_refused(lines: list[str]) -> None:
    try:
        fragment = parse_fragment("\r\n".join(lines))
    except RequestRefusedError:
        return
    assert len(fragment.candidates) == lines.count("a=candidate:x")
    assert fragment.complete == ("a=end-of-candidates" in lines)


@pytest.mark.parametrize(
    ("text", "url", "publishes", "token"),
    [
        ("whip+https://live.example/whip/team#abc", "https://live.example/whip/team", True, "abc"),
        ("whep+http://127.0.0.1:7640/whep/team", "http://127.0.0.1:7640/whep/team", False, ""),
        (" WHIP+https://live.example/x?y=z#a.b=", "https://live.example/x?y=z", True, "a.b="),
    ],
)
def test_endpoints_are_read(text: str, url: str, publishes: bool, token: str) -> None:
    target = WhipTarget.parse(text)
    assert (str(target.url), target.publishes, target.token) == (url, publishes, token)
    assert WhipTarget.matches(text)
    assert token == "" or token not in repr(target)


@pytest.mark.parametrize(
    "text", ["https://x", "whip+ftp://x", "whip+https://", "whip+https://u@x", "whip+", "whipped"]
)
def test_what_is_no_endpoint_is_explained(text: str) -> None:
    with pytest.raises(ConfigError, match="whip"):
        WhipTarget.parse(text)


async def test_the_client_tells_why_it_was_refused(serve: Any) -> None:
    served: Served = await serve(access=Access.INVITATION)
    target = WhipTarget.parse(f"whip+{served.url}/whip/test#forged")
    async with WhipClient(target) as client:
        with pytest.raises(CallRefusedError, match="invitation") as refused:
            await client.open(served.peer(target))
    assert refused.value.code == "unauthorized"
    nowhere = WhipTarget.parse("whip+http://127.0.0.1:9/x")
    async with WhipClient(nowhere) as client:
        with pytest.raises(PeerUnreachableError):
            await client.open(served.peer(nowhere))


def test_a_session_on_another_server_is_not_believed() -> None:

    endpoint = URL("https://live.example/whip/team")
    assert str(_session_url(endpoint, "/s/1")) == "https://live.example/s/1"
    assert str(_session_url(endpoint, "team/1")) == "https://live.example/whip/team/1"
    for location in ("https://evil.example/s", "//evil.example/s", "http://live.example/s"):
        with pytest.raises(RemoteProtocolError):
            _session_url(endpoint, location)
