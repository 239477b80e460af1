"""Writes a trained ConvNeXt as ONNX (opset 20) and fits its calibration on dev.

    python export.py --work WORK --name small --output ../bonafide-small.onnx

Input `pixel_values` float32 [1, 1, 128, 200], output `logits` float32 [1, 2] ("bonafide",
"spoof").  The graph is written node by node: pointwise convolutions stay Conv 1x1 on NCHW,
GELU is one Gelu node, LayerNorm is LayerNormalization between two transposes.  Checks that the
file agrees with PyTorch within 1e-4 in ONNX Runtime, then, on dev windows scored by ONNX Runtime,
fits llr = slope * (spoof - bonafide) + offset with equal class weights (Platt), and prints EER,
AUC and calibration error with the numbers for the manifest.  `slope` and `offset` make llr a
natural-log likelihood ratio ln p(x | spoof) / p(x | bona fide).
"""

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

import data
import metrics
import model as models
import train


class Graph:
    """A list of ONNX nodes under construction; every method returns an output name."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value):
        name = f"w{len(self.constants)}"
        if torch.is_tensor(value):
            value = value.detach().numpy()
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op, *inputs, **attributes):
        out = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=out, **attributes))
        return out

    def conv(self, x, layer):
        (a, b), (c, d) = layer.padding, layer.kernel_size
        return self.node("Conv", x, self.constant(layer.weight), self.constant(layer.bias),
                         kernel_shape=[c, d], strides=list(layer.stride), pads=[a, b, a, b],
                         group=layer.groups)

    def norm(self, x, layer):
        x = self.node("Transpose", x, perm=[0, 2, 3, 1])
        x = self.node("LayerNormalization", x, self.constant(layer.weight),
                      self.constant(layer.bias), axis=-1, epsilon=layer.eps)
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def mean(self, x, axes, keep):
        return self.node("ReduceMean", x, self.constant(np.array(axes, np.int64)), keepdims=keep)

    def linear(self, x, layer, name):
        out = self.node("Gemm", x, self.constant(layer.weight), self.constant(layer.bias), transB=1)
        self.nodes[-1].output[0] = name
        return out

    def layer(self, x, layer):
        if isinstance(layer, torch.nn.Conv2d):
            return self.conv(x, layer)
        if isinstance(layer, models.ChannelNorm):
            return self.norm(x, layer)
        if isinstance(layer, torch.nn.GELU):
            return self.node("Gelu", x)
        y = self.norm(self.conv(x, layer.depthwise), layer.norm)  # a Block
        y = self.conv(self.node("Gelu", self.conv(y, layer.expand)), layer.project)
        return self.node("Add", x, y)


def to_onnx(net):
    g = Graph()
    x = "pixel_values"
    if net.centred:
        x = g.node("Sub", x, g.mean(x, [3], 1))
    for layer in [*net.stem, *net.stages]:
        x = g.layer(x, layer)
    pooled = []
    for op, layer in (("ReduceMean", net.norm), ("ReduceMax", net.norm_peak)):
        y = g.node(op, x, g.constant(np.array([2, 3], np.int64)), keepdims=0)
        pooled.append(g.node("LayerNormalization", y, g.constant(layer.weight),
                             g.constant(layer.bias), axis=-1, epsilon=layer.eps))
    x = g.node("Concat", *pooled, axis=1)
    g.linear(x, net.head, "logits")
    shape = [1, 1, data.BANDS, data.WINDOW]
    graph = helper.make_graph(
        g.nodes, "bonafide",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])], g.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9,
                             producer_name="bonafide")
    onnx.checker.check_model(made, full_check=True)
    return made


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True)
    p.add_argument("--features", default="features")
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--weights", default="final.pt", choices=["final.pt", "best.pt"])
    args = p.parse_args()
    torch.set_num_threads(1)
    net = train.load(args.work / "runs" / args.name, "cpu", args.weights)
    onnx.save(to_onnx(net), args.output)
    run = session(args.output)

    rows = [r for r in data.read_manifest(args.corpus) if r["split"] == "dev"]
    store = data.Features(args.work / args.features / "clean")
    db, owner = data.evaluation_windows(store, rows)
    labels = np.array([r["label"] == "fake" for r in rows]).astype(int)
    x = data.image(db)
    begun = time.perf_counter()
    logits = np.concatenate([run.run(None, {"pixel_values": w[None].numpy()})[0] for w in x])
    each = (time.perf_counter() - begun) / len(x)
    with torch.no_grad():
        expected = torch.cat([net(w)[0] for w in x[:128].split(16)]).numpy()
    worst = np.abs(expected - logits[:128]).max()
    assert worst < 1e-4, f"ONNX Runtime differs from PyTorch by {worst}"

    score = (logits[:, 1] - logits[:, 0]).astype(float)
    slope, offset = metrics.platt(score, labels[owner])
    llr = slope * score + offset
    files = metrics.per_file(llr, owner)
    threshold = metrics.eer(llr, labels[owner])[1]
    digest = hashlib.sha256(args.output.read_bytes()).hexdigest()
    size = args.output.stat().st_size
    print(f"# {sum(q.numel() for q in net.parameters())} parameters, {size} bytes, largest "
          f"difference from PyTorch {worst:.1e}, ONNX Runtime {1000 * each:.2f} ms a window")
    for name, s, y in (("window", llr, labels[owner]), ("file", files, labels)):
        rate, cut = metrics.eer(s, y)
        wrong = [float((s[y == 0] > threshold).mean()), float((s[y == 1] <= threshold).mean())]
        print(f"# dev per {name}: n {len(s)}, EER {100 * rate:.1f} % at llr {cut:.3f}, AUC "
              f"{metrics.auc(s, y):.3f}, ECE {100 * metrics.ece(s, y):.1f} %, at the threshold "
              f"{100 * wrong[0]:.1f} % of real flagged, {100 * wrong[1]:.1f} % of fake missed")
    print(f'sha256 = "{digest}"\nmean = [{data.MEAN}]\nstd = [{data.STD}]\nslope = {slope:.6f}\n'
          f"offset = {offset:.6f}\nthreshold_llr = {threshold:.6f}  # EER point of dev windows\n"
          f"threshold_probability = {1 / (1 + np.exp(-threshold)):.6f}")


if __name__ == "__main__":
    main()
