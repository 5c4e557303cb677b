"""Runs the steps of the Dockerfiles without Docker: each stage is a folder, each RUN a chroot.

What this shows: packages exist at their pinned versions, the package builds and installs on a
bare Debian, the programs start as the user of the image, and the health checks pass. What it
cannot show: everything that Docker itself does (layers, networks, volumes, secrets, limits).
Needs root, debootstrap and a network; takes some minutes and 3 GB. Call it through check.sh.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dockerfile import Instruction, Stage, read_dockerfile

ROOT = Path(__file__).parent.parent
FILES = ("docker/Dockerfile", "docker/janus/Dockerfile", "docker/turn/Dockerfile")
SUITE = "bookworm"
PATIENCE = 60.0
CHECK_TIMEOUT = 5.0
STOP_TIMEOUT = 10.0
CARRIED = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
"""What of this machine's environment the steps may need to reach the network."""


class Image:
    """A stage as a folder that can be entered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.workdir = "/"
        self.user = "0"
        self.stage: Stage | None = None

    def derived(self, folder: Path) -> "Image":
        """A copy to go on with."""
        subprocess.run(["cp", "-a", "--reflink=auto", str(self.folder), str(folder)], check=True)
        image = Image(folder)
        image.environment, image.workdir, image.user = dict(self.environment), self.workdir, self.user
        return image

    def command(self, words: list[str]) -> list[str]:
        """The words that run `words` inside."""
        carried = {name: os.environ[name] for name in CARRIED if name in os.environ}
        settings = [f"{k}={v}" for k, v in {**carried, **self.environment}.items()]
        home = "/root" if self.user == "0" else self.workdir
        identity = ["--reuid", self.user, "--regid", self.user, "--clear-groups"]
        change = f"cd {shlex.quote(self.workdir)} && exec {shlex.join(words)}"
        inner = ["setpriv", *identity, "env", "-i", f"HOME={home}", *settings, "sh", "-c", change]
        return [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child=KILL",
            "sh",
            "-c",
            _ENTER,
            "sh",
            str(self.folder),
            *inner,
        ]

    def run(self, words: list[str]) -> None:
        """Run and wait; CalledProcessError when it fails."""
        subprocess.run(self.command(words), check=True)


_ENTER = """
set -e
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount --make-rprivate "$root/dev"
exec chroot "$root" "$@"
"""


def build(file: Path, base: Image, work: Path) -> list[Image]:
    """Carry out every stage of a Dockerfile."""
    done: dict[str, Image] = {}
    images = []
    for number, stage in enumerate(read_dockerfile(file)):
        parent = done.get(stage.base, base)
        name = f"{file.parent.name}-{stage.name or number}"
        print(f"== {file.relative_to(ROOT)}: {stage.name or 'image'}", flush=True)
        image = parent.derived(work / name)
        for step in stage.instructions:
            carry_out(image, step, done)
        image.stage = _merged(stage, parent)
        done[stage.name] = image
        images.append(image)
    return images


def carry_out(image: Image, step: Instruction, done: dict[str, Image]) -> None:
    """One instruction; those that only describe the image are left to `start`."""
    if step.keyword == "RUN":
        print(f"-- RUN {step.text[:100]}", flush=True)
        image.run(["sh", "-c", step.text])
    elif step.keyword == "COPY":
        copy(image, step, done)
    elif step.keyword == "WORKDIR":
        image.workdir = step.text
        (image.folder / step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif step.keyword == "ENV":
        image.environment |= dict(pair.split("=", 1) for pair in shlex.split(step.text))
    elif step.keyword == "USER":
        image.user = step.text
    elif step.keyword not in ("EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD"):
        raise ValueError(f"{step.keyword} is not understood")


def copy(image: Image, step: Instruction, done: dict[str, Image]) -> None:
    """COPY from the repository (what git knows), or from another stage."""
    words = [word for word in step.words if not word.startswith("--from=")]
    origin = next((word[7:] for word in step.words if word.startswith("--from=")), None)
    source, target = words
    destination = image.folder / target.lstrip("/")
    if origin is not None:
        subprocess.run(["cp", "-a", f"{done[origin].folder}{source}/.", _made(destination)], check=True)
    elif source == ".":
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
        _copy_listed(listed.stdout, destination)
    else:
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / source, destination)


def _made(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _copy_listed(listed: bytes, destination: Path) -> None:
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, destination / name)


def _merged(stage: Stage, parent: Image) -> Stage:
    """What the stage inherits comes first."""
    inherited = parent.stage.instructions if parent.stage is not None else []
    return Stage(stage.base, stage.name, [*inherited, *stage.instructions])


def start(image: Image) -> None:
    """Run ENTRYPOINT and CMD until the health check passes. Raises RuntimeError when it does not."""
    assert image.stage is not None
    check = image.stage.last("HEALTHCHECK")
    if check is None:
        return
    entry, command = image.stage.last("ENTRYPOINT"), image.stage.last("CMD")
    words = [*(entry.words if entry else []), *(command.words if command else [])]
    probe = Instruction("CMD", check.text.partition("CMD ")[2]).words
    print(f"-- CMD {shlex.join(words)}", flush=True)
    process = subprocess.Popen(image.command(words))
    try:
        end = time.monotonic() + PATIENCE
        while not _healthy(image.command(probe)):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{image.folder.name}: not healthy (exit status {process.poll()})")
            time.sleep(0.5)
        print(f"-- healthy; {_size(image.folder)}", flush=True)
        stop(image, process)
    finally:
        if process.poll() is None:
            os.kill(_first_process(process), signal.SIGKILL)
        process.wait()


def stop(image: Image, process: "subprocess.Popen[bytes]") -> None:
    """Send the signal to stop, as Docker does to the first process, and say whether it was heard."""
    assert image.stage is not None
    wanted = image.stage.last("STOPSIGNAL")
    number = signal.Signals[wanted.text] if wanted is not None else signal.SIGTERM
    os.kill(_first_process(process), number)
    try:
        process.wait(STOP_TIMEOUT)
        print(f"-- stops at {number.name}", flush=True)
    except subprocess.TimeoutExpired:
        print(f"-- does not hear {number.name} as the first process: run it with --init", flush=True)


def _first_process(process: "subprocess.Popen[bytes]") -> int:
    """The one inside that is the first there; it changes its user, so it does not die with its parent."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return int(children.split()[0])


def _healthy(command: list[str]) -> bool:
    """One health check, ended after a while as Docker does."""
    try:
        return (
            subprocess.run(command, capture_output=True, check=False, timeout=CHECK_TIMEOUT).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


def _size(folder: Path) -> str:
    words = subprocess.run(["du", "-smx", str(folder)], capture_output=True, text=True, check=True)
    return f"{words.stdout.split()[0]} MB with the base"


def make_base(folder: Path, mirror: str) -> Image:
    """A bare Debian that reaches the network as this machine does."""
    if not (folder / "etc/debian_version").exists():
        subprocess.run(["debootstrap", "--variant=minbase", SUITE, str(folder), mirror], check=True)
    for name in ("/etc/resolv.conf", "/etc/pip.conf"):
        if Path(name).exists():
            shutil.copy2(name, f"{folder}{name}")
    settings = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True)
    (folder / "etc/apt/apt.conf.d/90machine").write_text(settings.stdout, encoding="utf-8")
    # Authorities that this machine's operator has added, for those behind a proxy that opens TLS.
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        own = folder / "usr/local/share/ca-certificates"
        own.mkdir(parents=True, exist_ok=True)
        for number, certificate in enumerate(_own_authorities(bundle)):
            (own / f"own-{number}.crt").write_text(certificate, encoding="ascii")
    secrets = folder / "run/secrets"
    secrets.mkdir(parents=True, exist_ok=True)
    for name in ("janus_admin_key", "janus_auth_secret", "turn_secret"):
        (secrets / name).write_text("0123456789abcdef0123456789abcdef", encoding="utf-8")
    return Image(folder)


def _own_authorities(bundle: Path) -> list[str]:
    """Certificates of the bundle that no package brings."""
    end = "-----END CERTIFICATE-----"
    packaged = Path("/usr/share/ca-certificates").rglob("*.crt")
    known = {"".join(path.read_text(encoding="ascii").split()) for path in packaged}
    found = [part.strip() + f"\n{end}\n" for part in bundle.read_text(encoding="ascii").split(end)[:-1]]
    return [certificate for certificate in found if "".join(certificate.split()) not in known]


def main() -> int:
    """Check the named Dockerfiles, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=FILES)
    parser.add_argument("--work", type=Path, help="folder to work in and to keep (default: a new one)")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    args = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("this needs root and debootstrap", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="images-") as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        base = make_base(work / "base", args.mirror)
        for name in args.files:
            for image in build(ROOT / name, base, Path(tempfile.mkdtemp(dir=work))):
                start(image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
