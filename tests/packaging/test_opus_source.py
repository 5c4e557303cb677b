"""Where libopus's source comes from, and that it is not trusted before it is verified."""

import http.server
import io
import os
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from build_backend import archive, cache, source, upstream
from build_backend.errors import BuildError, SourceUnavailableError
from build_backend.release import KNOWN_SHA256, parse_version, sha256_of

MakeTarball = Callable[[Mapping[str, str]], Path]

RELEASE = {
    "opus-1.6.1/include/opus.h": "",
    "opus-1.6.1/package_version": 'PACKAGE_VERSION="1.6.1"\n',
    "opus-1.6.1/dnn/dred_rdovae_enc_data.c": "",
}


def without(name: str) -> dict[str, str]:
    return {key: text for key, text in RELEASE.items() if not key.endswith(name)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (source.SOURCE_VARIABLE, source.SHA256_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("libopus 1.6.1", (1, 6, 1)),
        ("libopus 1.10-fixed", (1, 10)),
        ("opus_1.6.1+dfsg.orig.tar.xz", (1, 6, 1)),
        ("libopus unknown", ()),
    ],
)
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_release_unpacks(make_tarball: MakeTarball, tmp_path: Path) -> None:
    tree = archive.unpack(make_tarball(RELEASE), tmp_path / "out")
    assert tree == tmp_path / "out" / "opus-1.6.1"
    assert (tree / "include" / "opus.h").is_file()


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({**RELEASE, "../evil": ""}, "suspicious entry"),
        ({**RELEASE, "opus-1.6.1/../../evil": ""}, "suspicious entry"),
        ({**RELEASE, "/tmp/evil": ""}, "suspicious entry"),
        ({**RELEASE, "other/file": ""}, "2 top folders"),
        ({}, "top folders"),
        (without("opus.h"), "not a source tree"),
        (without("data.c"), "lacks the weights"),
        ({**RELEASE, "opus-1.6.1/package_version": 'PACKAGE_VERSION="1.5.2"'}, "1.5.2"),
    ],
)
def test_what_is_no_release_is_refused(
    make_tarball: MakeTarball, tmp_path: Path, files: dict[str, str], complaint: str
) -> None:
    with pytest.raises(BuildError, match=complaint):
        archive.unpack(make_tarball(files), tmp_path / "deep" / "er" / "out")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_only_files_and_folders_are_unpacked(tmp_path: Path, kind: bytes) -> None:
    tarball = tmp_path / "opus.tar"
    with tarfile.open(tarball, "w") as out:
        member = tarfile.TarInfo("opus-1.6.1/link")
        member.type = kind
        member.linkname = "/etc/passwd"
        out.addfile(member)
    with pytest.raises(BuildError, match="suspicious entry"):
        archive.unpack(tarball, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"junk" * 1000, b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_tarball_is_refused(tmp_path: Path, content: bytes) -> None:
    tarball = tmp_path / "opus.tar.gz"
    tarball.write_bytes(content)
    with pytest.raises(BuildError, match="fetch the release"):
        archive.unpack(tarball, tmp_path / "out")


def test_truncated_tarball_is_refused(make_tarball: MakeTarball, tmp_path: Path) -> None:
    tarball = make_tarball({**RELEASE, "opus-1.6.1/big": os.urandom(5000).hex()})
    tarball.write_bytes(tarball.read_bytes()[:3000])
    with pytest.raises(BuildError, match="fetch the release"):
        archive.unpack(tarball, tmp_path / "out")


def test_user_names_a_folder(
    make_tarball: MakeTarball, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = archive.unpack(make_tarball(RELEASE), tmp_path / "mine")
    monkeypatch.setenv(source.SOURCE_VARIABLE, str(tree))
    assert source.obtain_source(tmp_path / "work") == tree


def test_user_vouches_for_a_tarball(
    make_tarball: MakeTarball, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tarball = make_tarball(RELEASE)
    monkeypatch.setenv(source.SOURCE_VARIABLE, str(tarball))
    with pytest.raises(BuildError, match="wrong SHA-256"):
        source.obtain_source(tmp_path / "work")
    monkeypatch.setenv(source.SHA256_VARIABLE, sha256_of(tarball).upper())
    assert source.obtain_source(tmp_path / "work").name == "opus-1.6.1"


def test_cache_gives_back_what_it_was_given(make_tarball: MakeTarball, tmp_path: Path) -> None:
    assert cache.cached_tarball() is None
    tarball = make_tarball(RELEASE)
    cache.keep_tarball(tarball)
    kept = cache.cached_tarball()
    assert kept is not None
    assert kept.read_bytes() == tarball.read_bytes()
    said: list[str] = []
    assert source.obtain_source(tmp_path / "work", said.append).is_dir()
    assert len(said) == 1


def test_damaged_cache_is_ignored(make_tarball: MakeTarball) -> None:
    cache.keep_tarball(make_tarball(RELEASE))
    kept = cache.cached_tarball()
    assert kept is not None
    kept.write_bytes(kept.read_bytes()[:-1])
    assert cache.cached_tarball() is None


def test_unusable_cache_is_no_error(
    make_tarball: MakeTarball, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.keep_tarball(make_tarball(RELEASE))
    assert cache.cached_tarball() is None


class _Server(http.server.BaseHTTPRequestHandler):
    body = b"body"

    def do_GET(self) -> None:
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body if "short" not in self.path else self.body[:-1])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_download_of_the_release(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "expected").write_bytes(_Server.body)
    monkeypatch.setattr(upstream, "KNOWN_SHA256", KNOWN_SHA256 | {sha256_of(tmp_path / "expected")})
    tarball = upstream.download_release(tmp_path, f"{url}/opus-1.6.1.tar.gz")
    assert tarball == tmp_path / "opus-1.6.1.tar.gz"
    assert tarball.read_bytes() == _Server.body


@pytest.mark.parametrize("path", ["opus.tar.gz", "missing/opus.tar.gz", "short/opus.tar.gz"])
def test_download_of_something_else(url: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceUnavailableError):
        upstream.download_release(tmp_path, f"{url}/{path}")


def test_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(SourceUnavailableError):
            upstream.download_release(
                tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/opus.tar.gz", 0.3
            )
        assert time.monotonic() - start < 3


def test_tarballs_may_hold_what_releases_hold(tmp_path: Path) -> None:
    """Folders, nested folders and empty files are all there is in one."""
    tarball = tmp_path / "opus.tar.gz"
    with tarfile.open(tarball, "w:gz") as out:
        for name in ("opus-1.6.1", "opus-1.6.1/include", "opus-1.6.1/dnn"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            folder.mode = 0o755
            out.addfile(folder)
        for name, text in RELEASE.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            out.addfile(member, io.BytesIO(text.encode()))
    assert archive.unpack(tarball, tmp_path / "out").is_dir()
