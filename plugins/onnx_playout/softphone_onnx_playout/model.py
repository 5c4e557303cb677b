"""The model file: loading it, and refusing one that does not fit."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from softphone_onnx_playout.features import FEATURES, TARGETS

__all__ = [
    "INPUT",
    "MODEL_VERSION",
    "OUTPUT",
    "OUTPUTS",
    "CostModel",
    "ModelError",
    "PlayoutModel",
    "shipped_model",
    "training_digest",
]

MODEL_VERSION = "4"
"""Changes whenever the features, the targets or the meaning of the output change."""
INPUT = "features"
OUTPUT = "costs"
OUTPUTS = len(TARGETS) + 1
"""Length of the output: a cost for each target, and that of waiting."""


class ModelError(Exception):
    """A model that can't be used; says why."""


class CostModel(Protocol):
    """Anything that says what targets cost."""

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Costs of the targets and of waiting, R·s; see `PlayoutModel`."""


def shipped_model() -> Path:
    """The model that comes with the package."""
    return Path(__file__).with_name("playout.onnx")


def training_digest(description: str) -> str:
    """SHA-256, in hexadecimal, of the description of a training run."""
    return hashlib.sha256(description.encode("utf-8")).hexdigest()


class PlayoutModel:
    """A model run by ONNX Runtime: one thread, in the calling thread, no allocation of arenas.

    Input ``features`` float32 (1, `FEATURES`). Output ``costs`` float32 (1, `OUTPUTS`), R·s: what
    committing to each target will cost above what its delay alone costs, up to a constant;
    last, what waiting 10 ms for a missing frame costs more than going on at once. Metadata:
    ``version``, ``training`` (JSON), ``training_digest`` (its SHA-256).
    """

    def __init__(self, path: Path) -> None:
        """Raises `ModelError` when the file is missing, corrupt, or not such a model."""
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(f"ONNX Runtime can't be loaded: {error}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        try:
            data = path.read_bytes()
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no common base class for what it raises
            raise ModelError(f"{path.name} can't be loaded: {error}") from error
        self.training = self._check(path.name)

    def _check(self, name: str) -> dict[str, Any]:
        session = self._session
        for kind, nodes, wanted, width in (
            ("input", session.get_inputs(), INPUT, FEATURES),
            ("output", session.get_outputs(), OUTPUT, OUTPUTS),
        ):
            found = [(node.name, list(node.shape)) for node in nodes]
            if found != [(wanted, [1, width])]:
                raise ModelError(f"{name}: the {kind} must be {wanted} of shape [1, {width}], not {found}")
        metadata = session.get_modelmeta().custom_metadata_map
        version = metadata.get("version")
        if version != MODEL_VERSION:
            raise ModelError(f"{name}: version {version}, but this policy needs {MODEL_VERSION}")
        description, digest = metadata.get("training", ""), metadata.get("training_digest", "")
        if not re.fullmatch("[0-9a-f]{64}", digest) or digest != training_digest(description):
            raise ModelError(f"{name}: the digest does not match the description of the training")
        try:
            training = json.loads(description)
        except ValueError as error:
            raise ModelError(f"{name}: the description of the training is not JSON") from error
        if not isinstance(training, dict):
            raise ModelError(f"{name}: the description of the training is not an object")
        return training

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Costs, shape (`OUTPUTS`,). Raises `ModelError` unless all are finite."""
        try:
            costs: NDArray[np.float32] = self._session.run((OUTPUT,), {INPUT: features[None, :]})[0][0]
        except Exception as error:
            raise ModelError(f"the model failed: {error}") from error
        if not np.isfinite(costs).all():
            raise ModelError("the model gave a value that is not a number")
        return costs
