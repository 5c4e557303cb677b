"""The rules that the images and the compose file keep; `docker/check.sh` carries the images out."""

import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from softphone.cli import main
from softphone.rooms.engines import load_engine

ROOT = Path(__file__).parent.parent.parent
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("**/Dockerfile"))
SCRIPTS = sorted(DOCKER.glob("**/*.sh"))

read_dockerfile = runpy.run_path(str(DOCKER / "dockerfile.py"))["read_dockerfile"]
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def inherited(stages: list[Any], stage: Any) -> list[Any]:
    """Instructions of a stage and of those that it is made from, oldest first."""
    parent = next((each for each in stages if each.name == stage.base), None)
    return [*(inherited(stages, parent) if parent else []), *stage.instructions]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_bases_are_pinned_and_small(path: Path) -> None:
    stages = read_dockerfile(path)
    names = {stage.name for stage in stages}
    for stage in stages:
        assert stage.base in names or re.fullmatch(r"debian:\d+\.\d+-slim", stage.base)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_is_run_is_no_root_says_how_it_is_and_takes_signals(path: Path) -> None:
    stages = read_dockerfile(path)
    bases = {stage.base for stage in stages}
    for stage in stages:
        steps = inherited(stages, stage)
        if stage.name in bases or stage.name == "build":
            continue
        users = [step.text for step in steps if step.keyword == "USER"]
        assert users, f"{stage.name} runs as root"
        assert int(users[-1]) >= 1000
        assert any(step.keyword == "HEALTHCHECK" for step in steps)
        for keyword in ("ENTRYPOINT", "CMD"):
            step = [step for step in steps if step.keyword == keyword][-1]
            assert step.text.startswith("["), "a shell in between would swallow the signal to stop"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_packages_leave_nothing_behind(path: Path) -> None:
    for stage in read_dockerfile(path):
        for step in stage.instructions:
            assert step.keyword != "ADD"
            if step.keyword == "RUN" and "apt-get install" in step.text:
                assert "--no-install-recommends" in step.text
                assert "apt-get update" in step.text
                assert "rm -rf /var/lib/apt/lists/*" in step.text
            if step.keyword == "RUN" and "pip install" in step.text:
                assert "--no-cache-dir" in step.text


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_is_copied_exists_and_the_context_is_narrow(path: Path) -> None:
    assert (path.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()[1] == "**"
    for stage in read_dockerfile(path):
        for step in stage.instructions:
            if step.keyword == "COPY" and "--from=" not in step.text:
                assert (ROOT / step.words[0]).exists(), step.text


def test_the_context_of_the_package_has_what_the_build_needs() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists(), line


def test_pinned_versions_agree(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        name, _, tag = service["image"].partition(":")
        assert tag, f"{name} has no version"
        assert tag != "latest"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)
    assert version is not None
    assert services["rooms"]["image"] == f"softphone-rooms:{version[1]}"
    for name in ("janus", "turn"):
        _, _, tag = services[name]["image"].partition(":")
        text = (DOCKER / name / "Dockerfile").read_text(encoding="utf-8")
        assert re.search(rf"(janus|coturn)={re.escape(tag)}-", text)


def test_services_have_no_more_rights_than_they_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert "privileged" not in service
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert name == "proxy" or service["read_only"] is True
        for volume in service.get("volumes", []):
            assert volume.endswith(":ro") or not volume.startswith((".", "/", "$"))


def test_services_wait_until_others_are_well(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            build = services[needed]["build"]
            stages = read_dockerfile(ROOT / build["dockerfile"])
            stage = next(s for s in stages if s.name == build.get("target", ""))
            assert any(step.keyword == "HEALTHCHECK" for step in stage.instructions), (name, needed)


def test_targets_and_secrets_exist(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    made = (DOCKER / "make-secrets.sh").read_text(encoding="utf-8")
    for service in services.values():
        build = service.get("build")
        if build is not None:
            stages = read_dockerfile(ROOT / build["dockerfile"])
            assert build.get("target", "") in {stage.name for stage in stages}
        for secret in service.get("secrets", []):
            assert compose["secrets"][secret] == {"file": f"./secrets/{secret}"}
            assert secret in made
    for service in services.values():
        for word in service.get("command", []):
            used = re.findall(r"/run/secrets/(\w+)", word)
            assert set(used) <= set(service.get("secrets", []))


def test_every_variable_is_explained(services: dict[str, dict[str, Any]]) -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\$\{(\w+)", text))
    explained = dict(
        line.split("=", 1)
        for line in (DOCKER / ".env.example").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    assert wanted == set(explained)


@pytest.mark.parametrize("name", ["rooms", "speaker"])
def test_the_commands_are_understood(services: dict[str, dict[str, Any]], name: str) -> None:
    words = [re.sub(r"\$\{\w+(:-([^}]*))?\}", r"x\2", word) for word in services[name]["command"]]
    args = main._parser(words[0]).parse_args(words)
    assert callable(args.func)
    if name == "rooms":
        options = dict(option.split("=", 1) for option in args.engine_option)
        unread = {key: value for key, value in options.items() if not key.endswith("-file")}
        load_engine(args.engine, {**unread, "secret": "a secret of the tests"})


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_executable_and_parse(path: Path) -> None:
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(path)], check=True)


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    shutil.copy2(DOCKER / "make-secrets.sh", script)
    subprocess.run([script], check=True)
    folder = tmp_path / "secrets"
    first = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    subprocess.run([script], check=True)
    assert first == {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o077 == 0
    assert len(set(first.values())) == 5
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in first.values())
