"""Fetch the distribution's source package through the machine's own apt.

Nothing of the machine changes: lists, cache and state live in a folder of ours, so this
works without root. apt finds its mirrors and proxies as ever, and verifies signatures.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from build_backend.errors import SourceUnavailableError
from build_backend.release import MINIMUM_VERSION, parse_version

__all__ = ["download_source_package"]

_SUITES: Final = {"debian": ("testing", "unstable"), "ubuntu": ("devel",)}
_KEYRING: Final = "/usr/share/keyrings/{}-archive-keyring.gpg"
_MAX_MIRRORS: Final = 3
_SECONDS: Final = 180


def download_source_package(folder: Path) -> Path:
    """Download the newest ``opus_*.orig.tar.*`` that apt can verify into ``folder``.

    Raises :class:`SourceUnavailableError` when there is no apt, no mirror that answers, or
    no version new enough.
    """
    if shutil.which("apt-get") is None:
        raise SourceUnavailableError("this machine has no apt")
    distribution = _distribution()
    if distribution not in _SUITES:
        raise SourceUnavailableError("this system is neither Debian nor Ubuntu")
    private = folder / "apt"
    for name in ("lists/partial", "archives/partial", "download"):
        (private / name).mkdir(parents=True, exist_ok=True)
    (private / "apt.conf").write_text(_configuration(private))
    mirrors = list(_mirrors(private))[:_MAX_MIRRORS]
    for suite in _SUITES[distribution]:
        for mirror in mirrors:
            tarball = _try(private, distribution, mirror, suite)
            if tarball is not None:
                return tarball
    raise SourceUnavailableError("apt can't reach its mirror, or that has no libopus 1.6.1 or newer")


def _distribution() -> str:
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return ""
    found = {key: value.strip("\"'") for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}
    names = [found.get("ID", ""), *found.get("ID_LIKE", "").split()]
    return next((name for name in names if name in _SUITES), "")


def _configuration(private: Path) -> str:
    # Hooks of the machine's own updates (desktop notifications, package caches) must not run.
    return f"""\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "";
APT::Get::List-Cleanup "false";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "0";
Acquire::http::Timeout "5";
Acquire::https::Timeout "5";
Dir::State "{private}";
Dir::State::lists "{private}/lists";
Dir::State::status "/dev/null";
Dir::Cache "{private}";
Dir::Cache::archives "{private}/archives";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


def _mirrors(private: Path) -> Iterator[str]:
    """The archives that the machine's apt uses, without those for security updates."""
    listing = _apt_get(private, "update", "--print-uris")
    seen = set()
    for mirror, suite in re.findall(r"^'([^']+?)/dists/([^']+)/InRelease'", listing, re.MULTILINE):
        if mirror not in seen and "security" not in suite and not mirror.startswith("cdrom:"):
            seen.add(mirror)
            yield mirror


def _try(private: Path, distribution: str, mirror: str, suite: str) -> Path | None:
    keyring = _KEYRING.format(distribution)
    signed = f"[signed-by={keyring}] " if Path(keyring).exists() else ""
    sources = private / "sources.list"
    sources.write_text(f"deb-src {signed}{mirror} {suite} main\n")
    download = private / "download"
    only_ours = ("-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null")
    _apt_get(private, *only_ours, "update")
    _apt_get(private, *only_ours, "source", "--download-only", "opus")
    tarballs = [path for path in download.glob("opus_*.orig.tar.*") if path.suffix != ".asc"]
    new_enough = [path for path in tarballs if parse_version(path.name) >= MINIMUM_VERSION]
    return max(new_enough, key=lambda path: parse_version(path.name), default=None)


def _apt_get(private: Path, *arguments: str) -> str:
    """Run apt-get; its failures show in what it does not deliver."""
    command = ["apt-get", "-q", "-c", str(private / "apt.conf"), *arguments]
    try:
        done = subprocess.run(
            command, cwd=private / "download", capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceUnavailableError(f"apt does not work ({error})") from error
    return done.stdout
