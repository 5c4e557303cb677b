"""A Janus of our own for a test: WebSocket, VideoRoom and nothing else."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.namespaces import Namespace

__all__ = ["JanusProcess", "missing_for_janus"]

_PLUGIN = "libjanus_videoroom.so"
_FOLDERS = (
    Path("/usr/lib/x86_64-linux-gnu/janus"),
    Path("/usr/lib/aarch64-linux-gnu/janus"),
    Path("/usr/lib/janus"),
    Path("/opt/janus/lib/janus"),
)
_JANUS = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{modules}/plugins"
  transports_folder = "{modules}/transports"
  events_folder = "{folder}/none"
  loggers_folder = "{folder}/none"
  debug_level = 3
  session_timeout = {session_timeout}
  reclaim_session_timeout = {reclaim}
  {auth}
}}
media: {{ rtp_port_range = "{ports}" }}
nat: {{ nice_debug = false, ice_lite = false, ice_tcp = false }}
plugins: {{ disable = "{disabled}" }}
transports: {{ disable = "{other_transports}" }}
events: {{ broadcast = false }}
"""
_WEBSOCKETS = """
general: {{
  json = "compact"
  ws = true
  ws_port = {port}
  ws_ip = "{host}"
  wss = false
}}
admin: {{ admin_ws = false }}
"""
_VIDEOROOM = """
general: {{
  string_ids = true
  {admin_key}
}}
"""


def _modules() -> Path | None:
    return next((folder for folder in _FOLDERS if (folder / "plugins" / _PLUGIN).exists()), None)


def missing_for_janus() -> str | None:
    """Say what is missing to run Janus here, or None."""
    if shutil.which("janus") is None:
        return "Janus is not installed"
    return None if _modules() is not None else "the VideoRoom plug-in of Janus is not installed"


class JanusProcess:
    """A running server; a context manager."""

    def __init__(
        self,
        *,
        admin_key: str = "",
        auth_secret: str = "",
        reclaim: int = 0,
        session_timeout: int = 60,
        ports: str = "20000-40000",
        host: str = "127.0.0.1",
        place: Namespace | None = None,
    ) -> None:
        """`host`: address of its WebSocket; `place`: the network it is in, in place of ours."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._host = host
        self._place = place
        self.url = f"ws://{host}:{self.port}"
        self._folder = Path(tempfile.mkdtemp(prefix="janus-test-"))
        modules = _modules()
        assert modules is not None
        others = [f.name for f in (modules / "plugins").glob("*.so") if f.name != _PLUGIN]
        transports = [f.name for f in (modules / "transports").glob("*.so") if "websockets" not in f.name]
        auth = f'token_auth = true\n  token_auth_secret = "{auth_secret}"' if auth_secret else ""
        files = {
            "janus.jcfg": _JANUS.format(
                folder=self._folder,
                modules=modules,
                auth=auth,
                reclaim=reclaim,
                session_timeout=session_timeout,
                ports=ports,
                disabled=",".join(others),
                other_transports=",".join(transports),
            ),
            "janus.transport.websockets.jcfg": _WEBSOCKETS.format(port=self.port, host=host),
            "janus.plugin.videoroom.jcfg": _VIDEOROOM.format(
                admin_key=f'admin_key = "{admin_key}"' if admin_key else ""
            ),
        }
        for name, text in files.items():
            (self._folder / name).write_text(text, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "JanusProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the same port each time, and wait until it listens."""
        inside = [] if self._place is None else ["ip", "netns", "exec", self._place.name]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*inside, "janus", "-F", str(self._folder), "-o"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
            )
        end = time.monotonic() + 15
        while time.monotonic() < end:
            assert self._process.poll() is None, self.log
            if self._listens() if self._place is None else self._place.call(self._listens):
                return
            time.sleep(0.05)
        raise AssertionError(f"Janus did not start: {self.log}")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((self._host, self.port)) == 0

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
