"""What is sent in the comparison with NetEq."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.neteq.reference import Reference, load_reference
from benchmarks.neteq.schedules import Schedule, generate
from benchmarks.neteq.streams import StreamSpec, encode
from benchmarks.neteq.systems import SYSTEMS, parse_encoding
from softphone.errors import ConfigError
from softphone.opus.packet import has_lbrr
from softphone.rtp.red import unpack_red
from softphone.sending.inspection import dred_bytes


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load_reference(None, segments=1)


@pytest.fixture(scope="module")
def clean(reference: Reference) -> Schedule:
    return generate("clean", 1, reference.packets)


@pytest.mark.parametrize(
    ("system", "encoding", "plan", "least", "most"),
    [
        ("chromium", "best48", "auto", 46.0, 49.0),
        ("chromium", "best32", "auto", 29.0, 32.0),
        ("chromium", "lbrr32", "auto", 29.0, 32.0),
        ("softphone", "lbrr32", "auto", 29.0, 32.0),
        ("softphone", "best48", "auto", 43.0, 48.0),
        ("softphone", "best24", "auto", 21.0, 24.0),
        ("softphone", "best48", "fec=1,loss=20,dred=1040", 44.0, 48.0),
        ("aiortc", "best48", "auto", 43.0, 48.0),
    ],
)
def test_rates_are_what_they_are_said_to_be(
    reference: Reference, clean: Schedule, system: str, encoding: str, plan: str, least: float, most: float
) -> None:
    spec = parse_encoding(encoding).spec(SYSTEMS[system], plan)
    assert least <= encode(spec, reference, clean).kbps <= most


def test_a_browser_gets_red_with_lbrr_inside(reference: Reference, clean: Schedule) -> None:
    stream = encode(parse_encoding("best48").spec(SYSTEMS["chromium"], "auto"), reference, clean)
    payloads = stream.payloads[1:]
    assert {payload.payload_type for payload in payloads} == {63}
    blocks = [unpack_red(payload.payload) for payload in payloads]
    assert all([block.timestamp_offset for block in each] == [960, 0] for each in blocks)
    assert sum(has_lbrr(each[-1].payload) for each in blocks) > len(blocks) / 4


def test_the_same_stream_for_all(reference: Reference, clean: Schedule) -> None:
    streams = [
        encode(parse_encoding("lbrr32").spec(SYSTEMS[name], "auto"), reference, clean).payloads
        for name in ("chromium", "softphone", "aiortc")
    ]
    assert streams[0] == streams[1] == streams[2]


def test_the_planner_hears_of_the_network(reference: Reference, clean: Schedule) -> None:
    bursty = generate("ge20b3", 1, reference.packets)
    share = {}
    for schedule in (clean, bursty):
        payloads = encode(StreamSpec("auto"), reference, schedule).payloads[500:]
        packets = [
            unpack_red(payload.payload)[-1].payload if payload.payload_type == 63 else payload.payload
            for payload in payloads
        ]
        assert sum(has_lbrr(packet) for packet in packets) < len(packets)
        share[schedule.kind] = float(np.mean([dred_bytes(packet) > 0 for packet in packets]))
    assert share["clean"] == 0.0
    assert share["ge20b3"] > 0.8


def test_encodings_are_kept(reference: Reference, clean: Schedule, tmp_path: Path) -> None:
    spec = StreamSpec("fec=1,loss=20,red=1,rate=24000")
    made = encode(spec, reference, clean, tmp_path)
    (file,) = tmp_path.iterdir()
    stamp = file.stat().st_mtime_ns
    kept = encode(spec, reference, clean, tmp_path)
    assert file.stat().st_mtime_ns == stamp
    strip = [(each.payload_type, each.timestamp, each.payload) for each in made.payloads]
    assert [(each.payload_type, each.timestamp, each.payload) for each in kept.payloads] == strip
    encode(StreamSpec("fec=1,loss=10"), reference, clean, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("plan", ["automatic", "fec", "fec=yes", "speed=1"])
def test_bad_plans_are_refused(reference: Reference, clean: Schedule, plan: str) -> None:
    with pytest.raises(ConfigError, match=f"plan '{plan}'"):
        encode(StreamSpec(plan), reference, clean)


@pytest.mark.parametrize("text", ["best", "48", "worst48", "best4800"])
def test_bad_encodings_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="best or lbrr"):
        parse_encoding(text)
