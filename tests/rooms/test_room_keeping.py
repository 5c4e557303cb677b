"""Secrets, certificates and TURN credentials."""

import base64
import hashlib
import hmac
import ssl
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from softphone.errors import ConfigError
from softphone.rooms import keeping
from softphone.rooms.certificate import load_certificate, self_made_certificate
from softphone.rooms.turn import IceProvider, turn_credential


def is_private(path: Path) -> bool:
    return sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_token_secret_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    secret = keeping.kept_token_secret(folder)
    assert len(secret) == 64
    assert keeping.kept_token_secret(folder) == secret
    [file] = folder.iterdir()
    assert is_private(file)
    assert keeping.kept_token_secret(tmp_path / "other") != secret


def test_the_data_folder_follows_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("the XDG folders are those of other systems")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert keeping.data_folder() == Path("/somewhere/softphone")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert keeping.data_folder() == Path.home() / ".local/share/softphone"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"x" * 5000])
def test_files_that_hold_no_secret(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="secret"):
        keeping.read_secret(path)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        keeping.read_secret(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="can't write"):
        keeping.keep_private(tmp_path / "file" / "below", b"x")


def test_a_self_made_certificate_is_kept(tmp_path: Path) -> None:
    first = self_made_certificate(["localhost", "192.0.2.7", "2001:db8::7"], tmp_path)
    assert self_made_certificate(["192.0.2.7"], tmp_path).fingerprint == first.fingerprint
    assert self_made_certificate(["192.0.2.8"], tmp_path).fingerprint != first.fingerprint
    [file] = tmp_path.iterdir()
    assert is_private(file)
    assert first.context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_self_made_certificate_is_what_browsers_accept(tmp_path: Path) -> None:
    made = self_made_certificate(["myhost", "192.0.2.7"], tmp_path)
    certificate = x509.load_pem_x509_certificate((tmp_path / "room-server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["myhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now < certificate.not_valid_after_utc
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=398)
    der = certificate.fingerprint(certificate.signature_hash_algorithm or pytest.fail("no hash"))
    assert made.fingerprint == der.hex(":").upper()


def test_a_broken_certificate_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "room-server.pem").write_text("nonsense")
    assert self_made_certificate(["localhost"], tmp_path).fingerprint


def test_certificates_of_others(tmp_path: Path) -> None:
    self_made_certificate(["localhost"], tmp_path / "one")
    self_made_certificate(["localhost"], tmp_path / "two")
    one, two = (tmp_path / name / "room-server.pem" for name in ("one", "two"))
    assert load_certificate(one, one).fingerprint
    with pytest.raises(ConfigError, match="together"):
        load_certificate(one, two)
    with pytest.raises(ConfigError, match="PEM"):
        load_certificate(tmp_path / "none", one)
    (tmp_path / "empty").write_text("")
    with pytest.raises(ConfigError, match="PEM"):
        load_certificate(tmp_path / "empty", one)


def test_turn_credentials() -> None:
    # As coturn computes them: base64(hmac-sha1(secret, username)).
    expected = base64.b64encode(hmac.digest(b"north", b"1800003600:p1", hashlib.sha1)).decode()
    provider = IceProvider(stun=("stun:a",), turn=("turn:b", "turns:b:443"), secret="north")
    (stun, turn), lifetime = provider.servers("p1", 1_800_000_000.9)
    assert lifetime == 3600
    assert (stun.urls, stun.username, stun.credential) == (("stun:a",), "", "")
    assert turn.urls == ("turn:b", "turns:b:443")
    assert turn.username == "1800003600:p1"
    assert turn.credential == turn_credential(turn.username, "north") == expected
    assert "north" not in repr(provider)


def test_without_turn_nothing_expires() -> None:
    assert IceProvider().servers("p1", 0.0) == ((), 0)
    assert IceProvider(stun=("stun:a",)).servers("p1", 0.0)[1] == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"turn": ("turn:b",)},
        {"turn": ("stun:b",), "secret": "x"},
        {"stun": ("turn:b",)},
        {"stun": ("b",)},
        {"stun": ("stun:user@b",)},
        {"stun": ("stun:b c",)},
        {"stun": ("stun:b",) * 9},
        {"turn": ("turn:b",), "secret": "x", "lifetime": 5},
    ],
)
def test_impossible_servers(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        IceProvider(**settings)  # type: ignore[arg-type]
