"""Tiny models for the tests.

    pip install onnx==1.19.0 && python generate.py

gray.onnx    [1, 1, 16, 20] -> [1, 2]: logits (-m, m), m the mean of the input
rgb.onnx     [1, 3, 12, 14] -> [1, 2]: logits (r, b), the means of the first and last channel
nan.onnx     as gray.onnx, but the square root of a negative number
three.onnx   as gray.onnx, but three logits
two_inputs.onnx  two inputs
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(name, shape, weights, before=(), inputs=("pixel_values",)):
    weights = np.array(weights, dtype=np.float32)
    nodes = list(before) + [
        helper.make_node("GlobalAveragePool", [before[-1].output[0] if before else inputs[0]], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    values = [helper.make_tensor_value_info(i, TensorProto.FLOAT, shape) for i in inputs]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, weights.shape[1]])
    graph = helper.make_graph(nodes, name, values, [output], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, Path(__file__).with_name(f"{name}.onnx"))


gray = [1, 1, 16, 20]
save("gray", gray, [[-1, 1]])
save("rgb", [1, 3, 12, 14], [[1, 0], [0, 0], [0, 1]])
negative = [
    helper.make_node("Abs", ["pixel_values"], ["size"]),
    helper.make_node("Neg", ["size"], ["negative"]),
    helper.make_node("Constant", [], ["one"], value_float=1.0),
    helper.make_node("Sub", ["negative", "one"], ["below_zero"]),
    helper.make_node("Sqrt", ["below_zero"], ["nan"]),
]
save("nan", gray, [[-1, 1]], negative)
save("three", gray, [[-1, 1, 0]])
save("two_inputs", gray, [[-1, 1]], [helper.make_node("Add", ["pixel_values", "other"], ["sum"])], ("pixel_values", "other"))
