import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.webrtc.fmtp import format_fmtp, integer, parse_fmtp


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minptime=10;useinbandfec=1", {"minptime": "10", "useinbandfec": "1"}),
        (" minptime = 10 ; UseInbandFEC = 1 ;", {"minptime": "10", "useinbandfec": "1"}),
        ("111/111", {"111/111": None}),
        ("0-15", {"0-15": None}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1;a=2", {"a": "1"}),
        ("=5;;;x=", {"x": ""}),
        ("", {}),
    ],
)
def test_parse(text: str, expected: dict[str, str | None]) -> None:
    assert parse_fmtp(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500", 500),
        ("1041", 1040),
        ("0", 0),
        ("-1", None),
        ("1e3", None),
        ("١٢", None),
        ("99999999999999999999", None),
        ("", None),
        (None, None),
    ],
)
def test_integer_is_clamped_or_ignored(text: str | None, expected: int | None) -> None:
    assert integer({"n": text}, "n", 0, 1040) == expected
    assert integer({}, "n", 0, 1040) is None


@given(st.text())
def test_parse_never_raises_and_is_bounded(text: str) -> None:
    assert len(parse_fmtp(text)) <= 64


@given(st.dictionaries(st.text("abcdefgh-", min_size=1), st.integers(0, 9999) | st.none(), max_size=20))
def test_what_is_written_is_read_back(parameters: dict[str, int | None]) -> None:
    expected = {name: None if value is None else str(value) for name, value in parameters.items()}
    assert parse_fmtp(format_fmtp(parameters)) == expected
