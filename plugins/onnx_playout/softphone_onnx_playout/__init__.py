"""The playout policy ``onnx``: a learned jitter buffer, run by ONNX Runtime."""

from softphone_onnx_playout.policy import OnnxPolicy

__all__ = ["OnnxPolicy"]
