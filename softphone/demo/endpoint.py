"""One end of the demo call, a process of its own.

    python -m softphone.demo.endpoint callee SETTINGS
    python -m softphone.demo.endpoint caller SETTINGS HOST:PORT

Reports on standard output, one JSON object a line. Signalling, ICE, DTLS-SRTP and UDP
are real and stay on the loopback interface; the emulated network sits below SRTP on the
way out of each end.
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from softphone.audio.registry import open_sink, open_source
from softphone.demo.collector import Collector
from softphone.demo.config import DemoConfig
from softphone.errors import SoftphoneError
from softphone.media import MediaConfig, MediaSession
from softphone.playout import PlayoutConfig, Source
from softphone.sending import SendingConfig
from softphone.signaling import CallSession, CallTarget, ListenConfig, Listener, dial
from softphone.sim.network import NetworkEmulator
from softphone.sim.presets import parse_profile
from softphone.webrtc import Capabilities, IceConfig, Peer, PeerConfig
from softphone.webrtc.impairment import Impairment

_LOOPBACK = "127.0.0.1"
_LAST_WORDS = 1.2
"""Seconds the caller stays on after its last word, for what is still on its way."""
_COUNTED = (
    "packets_received",
    "packets_late",
    "packets_discarded",
    "packets_duplicated",
    "policy_fallbacks",
)


def _say(event: str, **values: Any) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


class _End:
    """What both ends have in common."""

    def __init__(self, role: str, config: DemoConfig) -> None:
        self._role = role
        self._config = config
        self.peer = Peer(PeerConfig(ice=IceConfig(addresses=(_LOOPBACK,))))
        profile = parse_profile(config.network)
        shortest = profile.delay + ((profile.trace.min_delay or 0.0) if profile.trace else 0.0)
        self._impairment = Impairment(
            NetworkEmulator(profile, config.seed, direction=role), control_delay=shortest
        )
        self.peer.outgoing_hook = self._impairment
        self._collector = Collector()

    async def talk(self, session: CallSession) -> None:
        """Send and play until the caller has said everything, or either side hangs up."""
        config = self._config
        await self.peer.wait_connected()
        caller = self._role == "caller"
        source = open_source(config.caller_source if caller else config.callee_source)
        sink = open_sink("null" if caller else config.callee_sink)
        media = MediaSession(
            self.peer,
            source,
            sink,
            MediaConfig(
                SendingConfig(bitrate=config.bitrate, mode=config.redundancy),
                PlayoutConfig(policy=config.policy, max_delay=config.max_delay),
            ),
            recorder=self._collector,
        )
        gc.freeze()
        await media.start()
        began = time.monotonic()
        _say("talking")
        try:
            ended = asyncio.ensure_future(session.closed())
            while not ended.done():
                await asyncio.wait([ended], timeout=0.25)
                elapsed = time.monotonic() - began
                self._progress(media, elapsed)
                if caller and (source.finished or (config.seconds and elapsed >= config.seconds)):
                    media.muted = True
                    await asyncio.wait([ended], timeout=_LAST_WORDS)
                    break
        finally:
            await media.stop()
        self._save(media)

    def _progress(self, media: MediaSession, elapsed: float) -> None:
        statistics = media.engine.statistics
        frames = {str(source): statistics.frames(source) for source in Source}
        plan = media.pipeline.plan
        trace = self._collector.trace
        _say(
            "progress",
            elapsed=elapsed,
            frames=frames,
            sent=media.pipeline.statistics.packets_sent,
            received=self._collector.packets_received,
            buffer_ms=trace[-1].delay_ms if trace else 0.0,
            plan=str(plan.means).removeprefix("Means.") if plan is not None else "",
        )

    def _save(self, media: MediaSession) -> None:
        self._collector.save(Path(self._config.directory), self._role)
        sending, playout = media.pipeline.statistics, media.engine.statistics
        _say(
            "done",
            sending=asdict(sending),
            playout={name: getattr(playout, name) for name in _COUNTED},
            plans=[asdict(record) for record in media.pipeline.plan_history],
        )

    async def close(self) -> None:
        """Free the sockets."""
        self._impairment.close()
        await self.peer.close()


async def _callee(config: DemoConfig) -> None:
    listener = Listener(ListenConfig(host=_LOOPBACK, port=0, name="callee"))
    ((_, port), *_) = await listener.start()
    _say("listening", port=port)
    end = _End("callee", config)
    try:
        async for call in listener:
            await call.ring()
            capabilities = Capabilities.from_json(dict(call.capabilities))
            answer = await end.peer.accept_offer(call.offer_sdp, capabilities)
            await end.talk(await call.accept(answer, end.peer.capabilities.to_json()))
            return
    finally:
        await end.close()
        await listener.close()


async def _caller(config: DemoConfig, target: str) -> None:
    end = _End("caller", config)
    try:
        call = await dial(
            CallTarget.parse(target),
            name="caller",
            capabilities=end.peer.capabilities.to_json(),
            offer_sdp=await end.peer.create_offer(),
        )
        accepted = await call.answered()
        await end.peer.accept_answer(accepted.answer_sdp, Capabilities.from_json(dict(accepted.capabilities)))
        await end.talk(accepted.session)
        await call.hang_up()
    finally:
        await end.close()


def main(arguments: list[str]) -> int:
    """Run one end; 1 after an error, which is reported as an event."""
    role, settings, *rest = arguments
    sys.setswitchinterval(0.001)
    config = DemoConfig.from_json(settings)
    try:
        asyncio.run(_callee(config) if role == "callee" else _caller(config, *rest))
    except SoftphoneError as error:
        _say("error", message=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
