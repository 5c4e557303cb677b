"""RTP without I/O: packet values, unwrapping, statistics, RED, DTMF and loss reports."""

from softphone.rtp.bursts import BurstStatistics, SequenceWindow
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPacket, RtpPayload
from softphone.rtp.red import RedBlock, pack_red, unpack_red
from softphone.rtp.reports import LossReport, LossReporter
from softphone.rtp.sequence import SequenceUnwrapper
from softphone.rtp.statistics import Arrival, ReceiveStatistics, ReceptionReport
from softphone.rtp.telephone_event import DtmfReceiver, DtmfSender, ReceivedDigit, TelephoneEvent

__all__ = [
    "OPUS_CLOCK_RATE",
    "Arrival",
    "BurstStatistics",
    "DtmfReceiver",
    "DtmfSender",
    "LossReport",
    "LossReporter",
    "ReceiveStatistics",
    "ReceivedDigit",
    "ReceptionReport",
    "RedBlock",
    "RtpPacket",
    "RtpPayload",
    "SequenceUnwrapper",
    "SequenceWindow",
    "TelephoneEvent",
    "pack_red",
    "unpack_red",
]
