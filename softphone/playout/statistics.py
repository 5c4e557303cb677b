"""What the playout core did so far, under the names of W3C webrtc-stats."""

from dataclasses import dataclass, field

from softphone.playout.frames import Source

__all__ = ["PlayoutStatistics"]


@dataclass(slots=True)
class PlayoutStatistics:
    """Counters since the start of the stream; samples are at 48 kHz.

    Names that exist in the W3C identifiers for inbound-rtp have the same meaning there.
    """

    packets_received: int = 0
    """Packets with audio, duplicates included."""
    packets_duplicated: int = 0
    """Packets that had come before."""
    packets_late: int = 0
    """Packets whose time to be played had passed."""
    packets_discarded: int = 0
    """Packets in time that could not be held: too far ahead."""
    packets_invalid: int = 0
    """Packets that are not what they claim to be: unknown payload type, bad RED, bad Opus."""
    dred_damaged: int = 0
    """Packets whose DRED can't be read, though their audio can."""
    fec_packets_received: int = 0
    """Whole copies received in RED packets."""
    stream_resets: int = 0
    """Changes of SSRC and jumps of the sender's clock."""

    total_samples_received: int = 0
    """Audio given to the listener."""
    concealed_samples: int = 0
    """Audio that was guessed (PLC) or comfort noise during loss."""
    silent_concealed_samples: int = 0
    """The part of `concealed_samples` that was comfort noise."""
    concealment_events: int = 0
    """Runs of concealment."""
    inserted_samples_for_deceleration: int = 0
    """Audio added by stretching."""
    removed_samples_for_acceleration: int = 0
    """Audio removed by compressing."""
    skipped_samples: int = 0
    """Media passed over."""
    recovered_samples: int = 0
    """Media that was concealed and then gone back to."""
    waited_samples: int = 0
    """Audio made while waiting for media."""

    jitter_buffer_delay: float = 0.0
    """Sum over all emitted samples of their time in the buffer, seconds."""
    jitter_buffer_target_delay: float = 0.0
    """Sum over all emitted samples of the delay the policy wanted, seconds."""
    jitter_buffer_emitted_count: int = 0
    """Samples that came out of the buffer from packets held in it."""

    samples_by_source: dict[Source, int] = field(default_factory=lambda: dict.fromkeys(Source, 0))
    """Media (for waiting: audio) by what it was made of."""
    actions_masked: int = 0
    """Decisions of the policy that were impossible and replaced."""
    policy_failures: int = 0
    """Exceptions out of the policy; after the first one `histogram` plays on."""
    policy_fallbacks: int = 0
    """Times another policy took over: after such an exception, or because the policy said so."""
    decode_errors: int = 0
    """Packets in the buffer that libopus refused."""

    def frames(self, source: Source, frame_samples: int = 960) -> int:
        """Frames of ``frame_samples`` samples made of ``source``, rounded."""
        return round(self.samples_by_source[source] / frame_samples)
