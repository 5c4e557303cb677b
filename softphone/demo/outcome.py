"""From what the two ends kept to one direction of a call."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from softphone.audio.stream import SAMPLE_RATE
from softphone.demo.collector import Collected
from softphone.errors import PeerUnreachableError
from softphone.playout import PlayoutStatistics
from softphone.sending import (
    NetworkEstimate,
    NetworkState,
    PlanRecord,
    RateLimit,
    RateState,
    RedundancyPlan,
    SendingStatistics,
)
from softphone.sim.call import OneWayCall, TracedPacket

__all__ = ["join_ends"]


def join_ends(
    caller: Collected,
    callee: Collected,
    media_samples: int,
    sending: Mapping[str, Any],
    playout: Mapping[str, Any],
    plans: Sequence[Mapping[str, Any]] = (),
) -> OneWayCall:
    """The way from caller to callee, for the first ``media_samples`` samples said.

    Both ends ran on one machine, so their clocks are one and delays from mouth to ear can
    be read off. ``sending`` and ``playout`` are counters of the two ends by name, ``plans``
    the caller's changes of plan as `dataclasses.asdict` gives them. Raises
    :class:`softphone.errors.PeerUnreachableError` when no packet arrived.
    """
    first_sent = {packet.payload: index for index, packet in reversed(list(enumerate(caller.sent)))}
    known = next((packet for packet in callee.received if packet.payload in first_sent), None)
    if known is None:
        raise PeerUnreachableError("not one packet of the caller arrived")
    index = first_sent[known.payload]
    # The sender adds random offsets to sequence numbers and timestamps (RFC 3550, section 5.1).
    sequence_offset = known.sequence - index
    timestamp_offset = known.timestamp - caller.sent[index].timestamp
    start = caller.said_start
    arrivals = {
        (packet.timestamp - timestamp_offset) & 0xFFFFFFFF: packet.at - start
        for packet in reversed(callee.received)
    }
    packets = [
        TracedPacket(
            sent=packet.at - start,
            arrival=arrivals.get(packet.timestamp & 0xFFFFFFFF),
            timestamp=packet.timestamp,
            payload_type=packet.payload_type,
            payload=packet.payload,
        )
        for packet in caller.sent
    ]
    records = [
        replace(
            record,
            time=record.time - start,
            timestamp=record.timestamp - timestamp_offset,
            sequence=None if record.sequence is None else record.sequence - sequence_offset,
        )
        for record in callee.trace
    ]
    records = [record for record in records if record.timestamp < media_samples]
    end = max((record.time + record.samples / SAMPLE_RATE for record in records), default=0.0)
    skipped = round((start - callee.heard_start) * SAMPLE_RATE)
    heard = callee.heard[max(0, skipped) : max(0, skipped) + round(end * SAMPLE_RATE)]
    return OneWayCall(
        heard=heard,
        records=records,
        packets=[packet for packet in packets if packet.timestamp < media_samples],
        playout=PlayoutStatistics(**playout),
        sending=SendingStatistics(**sending),
        plans=tuple(_plan(values, start) for values in plans),
    )


def _plan(values: Mapping[str, Any], start: float) -> PlanRecord:
    network, limit = dict(values["network"]), dict(values["limit"])
    return PlanRecord(
        at=values["at"] - start,
        plan=RedundancyPlan(**values["plan"]),
        network=NetworkEstimate(NetworkState(network.pop("state")), **network),
        limit=RateLimit(RateState(limit.pop("state")), **limit),
        reason=values["reason"],
    )
