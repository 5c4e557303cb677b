"""Writes a student as an ONNX file."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from softphone_onnx_playout.features import FEATURES
from softphone_onnx_playout.model import INPUT, MODEL_VERSION, OUTPUT, OUTPUTS, training_digest
from softphone_onnx_playout.training.student import SCALE, Student

__all__ = ["export"]

_OPSET = 17
_IR_VERSION = 8


def export(student: Student, path: Path, training: dict[str, Any]) -> None:
    """Write ``student`` to ``path`` with the description of its training as metadata.

    Needs the package ``onnx``.
    """
    onnx = import_module("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes, initializers = [], []
    last = len(student.weights) - 1
    value = INPUT
    for k, (weight, bias) in enumerate(zip(student.weights, student.biases, strict=True)):
        scale = np.float32(SCALE if k == last else 1.0)
        initializers.append(numpy_helper.from_array(weight * scale, f"weight{k}"))
        initializers.append(numpy_helper.from_array(bias * scale, f"bias{k}"))
        result = f"sum{k}"
        nodes.append(helper.make_node("Gemm", [value, f"weight{k}", f"bias{k}"], [result]))
        value = f"hidden{k}"
        if k < last:
            nodes.append(helper.make_node("Relu", [result], [value]))
    initializers.append(numpy_helper.from_array(student.direct * np.float32(SCALE), "direct"))
    nodes.append(helper.make_node("MatMul", [INPUT, "direct"], ["line"]))
    nodes.append(helper.make_node("Add", [f"sum{last}", "line"], [OUTPUT]))
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "playout",
        [helper.make_tensor_value_info(INPUT, floats, [1, FEATURES])],
        [helper.make_tensor_value_info(OUTPUT, floats, [1, OUTPUTS])],
        initializers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="softphone_onnx_playout"
    )
    model.ir_version = _IR_VERSION
    description = json.dumps(training, sort_keys=True)
    helper.set_model_props(
        model,
        {
            "version": MODEL_VERSION,
            "training": description,
            "training_digest": training_digest(description),
        },
    )
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
