"""Carries a plan over to the Opus encoder."""

from typing import Final

from softphone.opus import Encoder
from softphone.sending.plan import RedundancyPlan

__all__ = ["EncoderControl"]


class EncoderControl:
    """Sets what differs between the plan in force and the next, and nothing else.

    A setting that doesn't change isn't set again: the encoder may react to being told.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder: Final = encoder
        self._applied: RedundancyPlan | None = None

    def apply(self, plan: RedundancyPlan) -> tuple[str, ...]:
        """Make the encoder follow `plan`; returns the names of the properties that were set.

        It holds from the next packet that is encoded. Raises
        :class:`softphone.opus.OpusError` when the encoder refuses, which it does for DRED
        in a libopus without it: such a planner must be told that DRED is no option.
        """
        encoder, before = self._encoder, self._applied
        changed: list[str] = []
        if before is None or plan.bitrate != before.bitrate:
            encoder.bitrate = plan.bitrate
            changed.append("bitrate")
        if before is None or plan.inband_fec != before.inband_fec:
            encoder.inband_fec = plan.inband_fec
            changed.append("inband_fec")
        if before is None or plan.packet_loss_perc != before.packet_loss_perc:
            encoder.packet_loss_perc = plan.packet_loss_perc
            changed.append("packet_loss_perc")
        if before is None or plan.dred_duration_ms != before.dred_duration_ms:
            encoder.dred_duration_ms = plan.dred_duration_ms
            changed.append("dred_duration_ms")
        self._applied = plan
        return tuple(changed)
