"""Modules of the page by themselves, in the browser that runs them."""

from typing import Any

import pytest

from softphone.rooms import Invitation
from tests.page.browsers import Visitor
from tests.page.world import Serve, Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _run(serve: Serve, visit: Visit, script: str, values: Any = None) -> Any:
    visitor: Visitor = await visit("alice")
    await visitor.page.goto((await serve()).link("127.0.0.1", "standup"))
    return await visitor.page.evaluate(script, values)


async def test_silence_of_a_path_means_something_only_after_regular_packets(
    serve: Serve, visit: Visit
) -> None:
    counts = [
        (0.0, 0, "quiet"),
        (0.5, 25, "alive"),
        (1.0, 25, "quiet"),
        (4.0, 25, "quiet"),  # nothing regular yet
        (4.5, 50, "alive"),
        (5.0, 75, "alive"),
        (5.5, 75, "quiet"),
        (5.9, 75, "quiet"),
        (6.0, 75, "dead"),  # speech came until then
        (6.5, 76, "alive"),
        (7.0, 77, "alive"),
        (7.5, 78, "alive"),
        (9.4, 78, "quiet"),  # who is silent sends little
        (9.5, 78, "dead"),
    ]
    states = await _run(
        serve,
        visit,
        """async (counts) => {
          const { PathWatch } = await import("/static/path-watch.js");
          const watch = new PathWatch();
          return counts.map(([seconds, count]) => watch.update(count, 1000 * seconds));
        }""",
        counts,
    )
    assert states == [state for _, _, state in counts]


async def test_waiting_between_attempts_grows_to_eight_seconds(serve: Serve, visit: Visit) -> None:
    waits = await _run(
        serve,
        visit,
        """async () => {
          const { Backoff } = await import("/static/backoff.js");
          const backoff = new Backoff();
          return Array.from({ length: 8 }, () => backoff.next());
        }""",
    )
    for wait, middle in zip(waits, [0, 500, 1000, 2000, 4000, 8000, 8000, 8000], strict=True):
        assert 0.8 * middle <= wait <= 1.2 * middle


async def test_secrets_of_the_address(serve: Serve, visit: Visit) -> None:
    server = await serve()
    plain = server.invite(Invitation(room="standup", expires=2e9), 0.0)
    named = server.invite(Invitation(room="standup", name="Jürgen", expires=2e9), 0.0)
    links, secrets = await _run(
        serve,
        visit,
        """async (tokens) => {
          const { inviteLink, secretsOf } = await import("/static/address.js");
          const links = tokens.map((token) => inviteLink("standup", token));
          const hashes = ["", "#", "#abc", "#abc&passphrase=a%20b&x=1", "#&passphrase=p", "#a%zz"];
          return [
            links.map(({ url, personal }) => [new URL(url).hash, personal]),
            hashes.map((hash) => secretsOf({ hash })),
          ];
        }""",
        ["", "k7d2-m9xq", plain, named],
    )
    assert links == [["", False], ["#k7d2-m9xq", False], [f"#{plain}", False], ["", True]]
    assert secrets == [
        None,
        None,
        {"token": "abc", "passphrase": ""},
        {"token": "abc", "passphrase": "a b"},
        {"token": "", "passphrase": "p"},
        {"token": "a%zz", "passphrase": ""},
    ]


async def test_the_state_of_a_room_after_a_restart_of_the_server(serve: Serve, visit: Visit) -> None:
    steps = await _run(
        serve,
        visit,
        """async () => {
          const { RoomState } = await import("/static/room-state.js");
          const room = new RoomState();
          const who = (id) => ({ id, name: id.toUpperCase() });
          const own = { id: "c", name: "C", role: "participant" };
          const joined = { type: "joined", room: "r", max_participants: 8, ...own };
          const log = [];
          const step = (happened) => {
            const away = [...room.participants.values()].filter((each) => each.away).map(({ id }) => id);
            log.push([happened.map(({ type, id = "" }) => type + id), [...room.participants.keys()], away]);
          };
          step(room.apply({ ...joined, participants: [who("a"), who("b")] }));
          step(room.apply({ type: "said", number: 1, peer: "a", name: "A", text: "hello", time: 0 }));
          step(room.apply({ ...joined, resumed: true, settle_seconds: 60, participants: [] }));
          step(room.apply({ type: "said", number: 1, peer: "a", name: "A", text: "hello", time: 0 }));
          step(room.apply({ type: "peer-joined", participant: who("a") }));
          step(room.settle());
          step(room.apply({ ...joined, id: "d", participants: [who("a")] }));
          return [log, room.chat.length];
        }""",
    )
    assert steps == [
        [
            [["joined"], ["a", "b"], []],
            [["said"], ["a", "b"], []],
            [["resumed"], ["a", "b"], ["a", "b"]],
            [[], ["a", "b"], ["a", "b"]],
            [[], ["a", "b"], ["b"]],
            [["leftb"], ["a"], []],
            [["joined"], ["a"], []],
        ],
        0,
    ]


async def test_every_text_has_its_place(serve: Serve, visit: Visit) -> None:
    empty = await _run(
        serve,
        visit,
        """() => [...document.querySelectorAll("[data-text]")]
          .filter((node) => !node.textContent.trim()).map((node) => node.dataset.text)""",
    )
    assert empty == []
