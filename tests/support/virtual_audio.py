"""Sound cards that exist nowhere: a private PulseAudio with null sinks.

For a machine "alice" there is

* ``alice_spk``: a loudspeaker to play to; what it plays can be recorded from ``alice_spk_rec``;
* ``alice_mic``: a microphone to record from; speech for it is played to ``alice_mic_feed``.

An ALSA configuration shows each of them to PortAudio as a device of its own.
"""

import contextlib
import ctypes
import ctypes.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

__all__ = ["VirtualAudio", "missing_for_virtual_audio"]

PR_SET_PDEATHSIG = 1
START_TIMEOUT = 20.0


def missing_for_virtual_audio() -> str | None:
    """Why virtual sound cards can't be had here; None when they can."""
    if sys.platform != "linux":
        return "virtual sound cards need Linux"
    if shutil.which("pulseaudio") is None:
        return "pulseaudio isn't installed (apt install pulseaudio)"
    if ctypes.util.find_library("portaudio") is None:
        return "PortAudio isn't installed (apt install libportaudio2)"
    if not any(Path("/usr").glob("lib*/**/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA's PulseAudio plug-in isn't installed (apt install libasound2-plugins)"
    return None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class VirtualAudio:
    """A PulseAudio server of its own; a context manager that starts and stops it."""

    def __init__(self, machines: Sequence[str] = ("alice",)) -> None:
        """`machines`: names; the first one's devices are ALSA's default."""
        self.machines = tuple(machines)
        # Not pytest's tmp_path: a socket's path must stay below 108 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="vaudio-"))
        self._socket = self.directory / "native"
        self._log = self.directory / "pulse.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        """Environment for a process that shall see these devices, and only these."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PULSE_")}
        return {**inherited, **self._variables}

    @property
    def _variables(self) -> Mapping[str, str]:
        run = str(self.directory / "run")
        return {
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_RUNTIME_PATH": run,
            "PULSE_STATE_PATH": str(self.directory / "state"),
            "PULSE_COOKIE": str(self.directory / "cookie"),
            "XDG_RUNTIME_DIR": run,
            "ALSA_CONFIG_PATH": str(self.directory / "asound.conf"),
        }

    @contextlib.contextmanager
    def visible(self) -> Iterator[None]:
        """Let this very process see the devices within the block. No stream may be open."""
        from softphone.audio.portaudio import portaudio

        before = {name: os.environ.get(name) for name in self._variables}
        os.environ.update(self._variables)
        portaudio.restart()
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            portaudio.restart()

    def start(self) -> None:
        """Start the server, again too after it was killed; returns once every device is there."""
        (self.directory / "run").mkdir(exist_ok=True, mode=0o700)
        (self.directory / "asound.conf").write_text(self._alsa_configuration())
        self._socket.unlink(missing_ok=True)
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        command += ["--system=no", "--log-target=stderr", "--log-level=notice"]
        for machine in self.machines:
            for sink in (f"{machine}_spk", f"{machine}_micfeed"):
                # norewinds: else an idle null sink renders two seconds ahead, and a new
                # stream waits for as long.
                command += [
                    "-L",
                    f"module-null-sink sink_name={sink} norewinds=1 "
                    "format=s16le rate=48000 channels=1 channel_map=mono",
                ]
        # The last module: when its socket can be connected to, all devices exist.
        command += ["-L", f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"pulseaudio didn't start: {self._log.read_text()}")
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill the server: every card is pulled out at once."""
        if self._process is not None:
            # One that was frozen dies only of this signal.
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Let the server hang: neither sound nor errors."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> "VirtualAudio":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
            return True

    def _alsa_configuration(self) -> str:
        lines = []
        for machine in self.machines:
            for name, device in (
                (f"{machine}_spk", f"{machine}_spk"),
                (f"{machine}_spk_rec", f"{machine}_spk.monitor"),
                (f"{machine}_mic", f"{machine}_micfeed.monitor"),
                (f"{machine}_mic_feed", f"{machine}_micfeed"),
            ):
                lines.append(
                    f'pcm.{name} {{ type pulse device "{device}" server "unix:{self._socket}" '
                    f'handle_underrun 1 hint {{ show on description "{name}" }} }}'
                )
        first = self.machines[0]
        lines.append(f'pcm.!default {{ type asym playback.pcm "{first}_spk" capture.pcm "{first}_mic" }}')
        return "\n".join(lines) + "\n"
