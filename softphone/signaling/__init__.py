"""Signalling: how two phones find each other, agree on a call, check each other and hang up.

A callee runs a `Listener`, a caller uses `dial`; both then hold a `CallSession`.
Session descriptions go through as opaque text. ``docs/signaling.md`` specifies the
protocol.
"""

from softphone.signaling.dialer import Accepted, CallEvent, Ended, OutgoingCall, Ringing, dial
from softphone.signaling.errors import (
    CallEndedError,
    CallRefusedError,
    CallStateError,
    VerificationError,
    VersionMismatchError,
)
from softphone.signaling.incoming import IncomingCall
from softphone.signaling.listener import ListenConfig, Listener
from softphone.signaling.messages import Reanswer, Reoffer, Restart
from softphone.signaling.sas import certificate_fingerprint
from softphone.signaling.session import CallSession, RemoteParty
from softphone.signaling.states import CallEnd, EndReason, Role, Side, State
from softphone.signaling.statistics import SignalingStatistics
from softphone.signaling.target import DEFAULT_PORT, CallTarget

__all__ = [
    "DEFAULT_PORT",
    "Accepted",
    "CallEnd",
    "CallEndedError",
    "CallEvent",
    "CallRefusedError",
    "CallSession",
    "CallStateError",
    "CallTarget",
    "EndReason",
    "Ended",
    "IncomingCall",
    "ListenConfig",
    "Listener",
    "OutgoingCall",
    "Reanswer",
    "RemoteParty",
    "Reoffer",
    "Restart",
    "Ringing",
    "Role",
    "Side",
    "SignalingStatistics",
    "State",
    "VerificationError",
    "VersionMismatchError",
    "certificate_fingerprint",
    "dial",
]
