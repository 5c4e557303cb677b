"""Headless Chromium as the other end of a call, on the event loop that it is used from."""

import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-renderer-backgrounding",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    # Addresses would be hidden behind names that nobody here resolves.
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter,OptimizationHints",
)

_CALL = """
const caller = {
  connection: new RTCPeerConnection(),
  levels: [],
};

caller.prepare = async () => {
  // Only who may use the microphone may use every address.
  await navigator.mediaDevices.getUserMedia({audio: true});
  const context = caller.context = new AudioContext();
  const tone = new OscillatorNode(context, {frequency: 330});
  const mouth = new MediaStreamAudioDestinationNode(context);
  tone.connect(mouth);
  tone.start();
  caller.connection.addTrack(mouth.stream.getAudioTracks()[0], mouth.stream);
  caller.connection.ontrack = ({track}) => {
    const stream = new MediaStream([track]);
    const element = new Audio();          // makes the track play
    element.srcObject = stream;
    element.play();
    const ear = new AnalyserNode(context, {fftSize: 1024});
    context.createMediaStreamSource(stream).connect(ear);
    const samples = new Float32Array(1024);
    setInterval(() => {
      ear.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      caller.levels.push([performance.now(), Math.sqrt(power)]);
    }, 10);
  };
  caller.connection.onicecandidate = ({candidate}) => tell(candidate === null ? null : candidate.toJSON());
};

caller.offer = async (restart) => {
  await caller.connection.setLocalDescription(await caller.connection.createOffer({iceRestart: restart}));
  return caller.connection.localDescription.sdp;
};

caller.answer = async (sdp) => {
  await caller.connection.setRemoteDescription({type: 'offer', sdp});
  await caller.connection.setLocalDescription();
  return caller.connection.localDescription.sdp;
};

caller.take = (sdp) => caller.connection.setRemoteDescription({type: 'answer', sdp});

addEventListener('online', () => moved());

caller.heard = () => [...caller.levels, [performance.now(), 1]];
"""


def browser_obstacle() -> str | None:
    """Why there is no browser here; None when there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    return None if _executable() else "chromium is not installed"


@contextlib.asynccontextmanager
async def browser_page(
    on_candidate: Callable[[dict[str, Any] | None], None], on_network: Callable[[], None] = lambda: None
) -> AsyncIterator[Any]:
    """A page that can call: see ``caller`` in the script. It starts with its peer connection ready.

    `on_candidate` is called with each RTCIceCandidateInit, and with None after the last;
    `on_network` when the browser has a network again.
    """
    from playwright.async_api import async_playwright

    folder = tempfile.mkdtemp(prefix="chromium-")
    try:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                folder, executable_path=_executable(), headless=True, args=_FLAGS
            )
            page = context.pages[0]
            # A secure context, without any server.
            await page.route(
                "**/*", lambda route: route.fulfill(content_type="text/html", body="<title>call</title>")
            )
            await page.goto("https://softphone.test/")
            await page.expose_function("tell", on_candidate)
            await page.expose_function("moved", on_network)
            await page.add_script_tag(content=_CALL)
            await page.evaluate("caller.prepare()")
            yield page
            await context.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def longest_silence(levels: list[tuple[float, float]], loud: float = 0.005) -> float:
    """Seconds between two moments of sound that lie farthest apart; `levels` from ``caller.heard()``."""
    times = [at / 1000.0 for at, level in levels if level > loud]
    assert len(times) > 100, "hardly anything was heard"
    return max(b - a for a, b in pairwise(times))


def _executable() -> str | None:
    direct = Path("/usr/lib/chromium/chromium")  # without the wrapper script
    return str(direct) if direct.exists() else shutil.which("chromium") or shutil.which("google-chrome")
