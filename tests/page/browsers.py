"""Headless Chromium as people in a room: each browser has a microphone of its own."""

import base64
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 48_000
CONNECTED = "[Ss]ound"
"""Pattern for what a card says of somebody who is heard."""

_CORRELATION_RATE = 8_000
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter,OptimizationHints",
]
_NAMES = "--host-resolver-rules=MAP insecure.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"

# What browsers say of servers that are down, and of origins without HTTPS.
_EXPECTED = (
    "ERR_CONNECTION_REFUSED",
    "WebSocket connection",
    "Cross-Origin-Opener-Policy header has been ignored",
)

# What the tests need to see of the page from inside: its people, peer connections, and what they play.
_PEEPHOLE = """
window.peephole = {
  connections: [],
  others() {
    const cards = [...document.querySelectorAll("#people .person")].slice(1);
    return cards.map((card) =>
      [".person-name", ".person-quality-text"].map((part) => card.querySelector(part).textContent));
  },
  live: () => peephole.connections.filter((each) => each.connectionState === "connected"),
  audible() {
    const tracks = peephole.live().flatMap((each) => each.getReceivers()).map(({ track }) => track);
    return tracks.filter((track) => track.readyState === "live" && !track.muted);
  },
  async listen(seconds, count = 1) {
    let tracks;
    while ((tracks = peephole.audible()).length < count) {
      await new Promise((resolve) => setTimeout(resolve, 20)); // unmuted by the first packet
    }
    return Promise.all(tracks.slice(0, count).map((track) => peephole.record(track, seconds)));
  },
  async record(track, seconds) {
    const processor = new MediaStreamTrackProcessor({ track, maxBufferSize: 100 });
    const reader = processor.readable.getReader();
    const heard = new Int16Array(48000 * seconds);
    let filled = 0;
    while (filled < heard.length) {
      const { value: frame, done } = await reader.read();
      if (done) break;
      const samples = new Float32Array(frame.numberOfFrames);
      frame.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      frame.close();
      for (const sample of samples) if (filled < heard.length) heard[filled++] = 32767 * sample;
    }
    await reader.cancel();
    const bytes = new Uint8Array(heard.buffer);
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) {
      text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    }
    return btoa(text);
  },
};
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...values) {
    super(...values);
    peephole.connections.push(this);
  }
};
// Echo cancellation and the like would change the speech that is looked for.
if (!localStorage.getItem("softphone.preferences")) {
  localStorage.setItem("softphone.preferences", JSON.stringify({ processing: false }));
}
"""


def chromium() -> str | None:
    """Path of the browser; None without one."""
    direct = Path("/usr/lib/chromium/chromium")  # without the wrapper script
    return str(direct) if direct.exists() else shutil.which("chromium") or shutil.which("google-chrome")


@contextlib.asynccontextmanager
async def browser(
    driver: Any, speech: Path | None, *, allowed: bool = True, more_flags: Sequence[str] = ()
) -> AsyncIterator[Any]:
    """A browser whose microphone plays `speech` again and again; without it there is no microphone."""
    flags = [*_FLAGS, _NAMES, *more_flags]
    if speech is not None:
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={speech}"]
    if allowed:
        flags.append("--use-fake-ui-for-media-stream")
    running = await driver.chromium.launch(executable_path=chromium(), args=flags)
    try:
        yield running
    finally:
        await running.close()


class Visitor:
    """Somebody with the page open."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        """What the page did wrong: exceptions, and what its security policy refused."""
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._on_console)

    def _on_console(self, message: Any) -> None:
        expected = any(text in message.text for text in _EXPECTED)
        if message.type == "error" and not expected:
            self.complaints.append(message.text)

    @classmethod
    async def come(cls, running: Any, **context: Any) -> "Visitor":
        """Open a window; `context` has options of Playwright's ``new_context``."""
        inside = await running.new_context(**context)
        inside.set_default_timeout(10_000)
        await inside.add_init_script(_PEEPHOLE)
        return cls(await inside.new_page())

    async def join(self, link: str, name: str) -> None:
        """Fill in the form and come in, or into the lobby; with an empty `link` the form is there already."""
        if link:
            await self.page.goto(link)
        await self.page.fill("#name", name)
        await self.page.wait_for_function("() => document.querySelector('#microphone').value !== ''")
        await self.page.click("#join-button")

    async def enter(self, link: str, name: str) -> None:
        """As `join`, until the room is shown."""
        await self.join(link, name)
        await self.page.wait_for_selector("#room-view:not([hidden])")

    async def sees(self, *names: str, state: str = "") -> None:
        """Wait until these others are in the list, each in a state that matches the pattern `state`."""
        from playwright.async_api import TimeoutError as LateError

        try:
            await self.page.wait_for_function(
                """([names, state]) => {
                  const others = peephole.others();
                  const shown = others.map(([name]) => name).sort();
                  return JSON.stringify(shown) === JSON.stringify(names)
                    && others.every(([, text]) => text.match(state));
                }""",
                arg=[sorted(names), state],
            )
        except LateError as error:
            shown = await self.page.evaluate("peephole.others()")
            raise AssertionError(f"the page doesn't show {names} ({state or 'any'}) but {shown}") from error

    async def connected(self, count: int = 1) -> None:
        """Wait until audio can flow with `count` others."""
        await self.page.wait_for_function("count => peephole.live().length === count", arg=count)

    def card(self, name: str) -> Any:
        """The card of a participant."""
        heading = self.page.locator(".person-name").get_by_text(name, exact=True)
        return self.page.locator("#people .person", has=heading)

    async def listen(self, seconds: float) -> Samples:
        """What the first other is heard to say from now on."""
        (heard,) = await self.listen_to(1, seconds)
        return heard

    async def listen_to(self, count: int, seconds: float) -> list[Samples]:
        """What so many others are heard to say from now on, each by himself."""
        heard = await self.page.evaluate("([n, s]) => peephole.listen(s, n)", [count, seconds])
        return [np.frombuffer(base64.b64decode(pcm), np.int16).astype(np.float32) / 32768.0 for pcm in heard]

    async def ended(self) -> str:
        """Wait for the last view; its heading."""
        await self.page.wait_for_selector("#end-view:not([hidden])")
        return str(await self.page.inner_text("#end-title"))

    async def close(self) -> None:
        """Close the window."""
        await self.page.context.close()


def likeness(heard: Samples, speech: Samples) -> float:
    """Share of `heard`, in pieces of 0.5 s without the pauses, that occurs in `speech` played in a loop."""
    step = RATE // _CORRELATION_RATE
    piece_length = _CORRELATION_RATE // 2
    known = _decimate(np.concatenate([speech, speech[:RATE]]), step)
    total_power = np.concatenate([[0.0], np.cumsum(known**2)])
    power = total_power[piece_length:] - total_power[:-piece_length]
    pieces = _decimate(heard, step)
    found = total = 0
    for start in range(0, len(pieces) - piece_length + 1, piece_length):
        piece = pieces[start : start + piece_length]
        energy = float(np.sum(piece**2))
        if energy < piece_length * 1e-5:
            continue
        size = len(known) + piece_length
        product = np.fft.irfft(np.fft.rfft(known, size) * np.conj(np.fft.rfft(piece, size)), size)
        match = product[: len(power)] / np.sqrt(np.maximum(power, 1e-3) * energy)
        total += 1
        found += bool(np.max(match) > 0.7)
    return found / total if total else 0.0


def _decimate(samples: Samples, step: int) -> NDArray[np.float64]:
    whole = samples[: len(samples) // step * step].astype(np.float64)
    return np.asarray(whole.reshape(-1, step).mean(axis=1))
