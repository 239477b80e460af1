"""Writes a trained network, or several as a committee, as ONNX (opset 20) and calibrates it on dev.

    python export.py --work WORK --name small --output WORK/bonafide-small.onnx
    python export.py --work WORK --name a b c --join bonafide-convnext.onnx --output WORK/bonafide-small.onnx

Input `pixel_values` float32 [batch, 1, 128 a bank, 200], output `logits` float32 [batch, 2] ("bonafide",
"spoof"); a card or a server takes windows together, the CPU one by one.  The graph is written node by
node: pointwise convolutions stay Conv 1x1 on NCHW, GELU is one Gelu node, LayerNorm is
LayerNormalization between two transposes, BatchNorm is folded into the convolution before it.  Checks
that the file agrees with PyTorch within 1e-4 in ONNX Runtime, then, on dev windows scored by ONNX
Runtime, each once as it is and once under noise or music, fits llr = slope * (spoof - bonafide) + offset
with equal class weights (Platt), and prints, for the windows as they are, EER, AUC and calibration error
with the numbers for the manifest, whose threshold stays at even odds.  `slope` and `offset` make llr a
natural-log likelihood ratio ln p(x | spoof) / p(x | bona fide).
"""

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

import data
import metrics
import model as models
import train


SNR = (3, 30)  # dB, of the noise under which the calibration must hold too


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

    def conv(self, x, layer, norm=None):
        """A convolution, with the BatchNorm that follows it folded in."""
        weight, bias = layer.weight, layer.bias
        if norm is not None:
            gain = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight, bias = weight * gain.view(-1, 1, 1, 1), norm.bias - norm.running_mean * gain
        (a, b), (c, d) = layer.padding, layer.kernel_size
        return self.node("Conv", x, self.constant(weight), self.constant(bias),
                         kernel_shape=[c, d], strides=list(layer.stride), pads=[a, b, a, b],
                         group=layer.groups)

    def norm(self, x, layer):
        x = self.node("Transpose", x, perm=[0, 2, 3, 1])
        x = self.node("LayerNormalization", x, self.constant(layer.weight),
                      self.constant(layer.bias), axis=-1, epsilon=layer.eps)
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def over(self, op, x, axes, keep=0):
        return self.node(op, x, self.constant(np.array(axes, np.int64)), keepdims=keep)

    def rows(self, x, start, end):
        ends = [self.constant(np.array([n], np.int64)) for n in (start, end, 2)]
        return self.node("Slice", x, *ends)

    def residual(self, x, layer):
        y = self.node("Relu", self.conv(x, layer.conv1, layer.norm1))
        y = self.conv(y, layer.conv2, layer.norm2)
        if not isinstance(layer.skip, torch.nn.Identity):
            pool, conv, norm = layer.skip
            if isinstance(pool, torch.nn.AvgPool2d):
                size = [pool.kernel_size] * 2
                x = self.node("AveragePool", x, kernel_shape=size, strides=size, ceil_mode=1)
            x = self.conv(x, conv, norm)
        return self.node("Relu", self.node("Add", y, x))

    def block(self, x, layer):
        y = self.norm(self.conv(x, layer.depthwise), layer.norm)
        y = self.conv(self.node("Gelu", self.conv(y, layer.expand)), layer.project)
        return self.node("Add", x, y)

    def layer(self, x, layer):
        if isinstance(layer, models.Residual):
            return self.residual(x, layer)
        if isinstance(layer, models.Block):
            return self.block(x, layer)
        if isinstance(layer, models.ChannelNorm):
            return self.norm(x, layer)
        if isinstance(layer, torch.nn.GELU):
            return self.node("Gelu", x)
        return self.conv(x, layer)

    def head(self, x, head):
        rows = self.conv(x, head.mix)
        mean = self.over("ReduceMean", rows, [3], 1)
        apart = self.node("Sub", rows, mean)
        variance = self.over("ReduceMean", self.node("Mul", apart, apart), [3])
        small = self.constant(np.float32(1e-4))
        deviation = self.node("Sqrt", self.node("Add", variance, small))
        pooled = self.node("Concat", self.over("ReduceMean", x, [2, 3]),
                           self.over("ReduceMax", x, [2, 3]), self.node("Flatten", mean),
                           self.node("Flatten", deviation), axis=1)
        return self.node("Gemm", pooled, self.constant(head.verdict.weight),
                         self.constant(head.verdict.bias), transB=1)

    def network(self, centred, net):
        x = centred
        if isinstance(net, models.ResNet):
            conv, norm, _ = net.stem
            x = self.node("Relu", self.conv(x, conv, norm))
        else:
            for layer in net.stem:
                x = self.layer(x, layer)
        for layer in net.stages:
            x = self.layer(x, layer)
        return self.head(x, net.head)


    def joined(self, x, model):
        """Another network's file as part of this graph, reading x; its output."""
        other = onnx.compose.add_prefix(model, "joined_").graph
        for node in other.node:
            for i, name in enumerate(node.input):
                node.input[i] = x if name == other.input[0].name else name
        self.nodes += other.node
        self.constants += other.initializer
        return other.output[0].name


def to_onnx(committee, join=None):
    g = Graph()
    image = "pixel_values"
    x = g.node("Sub", image, g.over("ReduceMean", image, [3], 1))
    parts = {committee.banks[0]: x}
    if len(committee.banks) > 1:
        parts = {bank: g.rows(x, i * data.BANDS, (i + 1) * data.BANDS)
                 for i, bank in enumerate(committee.banks)}
    logits = [g.network(parts[member.bank], member) for member in committee.members]
    if join is not None:
        logits.append(g.joined(g.rows(image, 0, data.BANDS), join))
    g.node("Mean", *logits)
    g.nodes[-1].output[0] = "logits"
    shape = ["batch", 1, data.BANDS * len(committee.banks), data.WINDOW]
    graph = helper.make_graph(
        g.nodes, "bonafide",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])], g.constants)
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
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True, nargs="+", help="a run, or several: a committee")
    p.add_argument("--join", type=Path, help="ONNX file of another network on mel bands, one vote more")
    p.add_argument("--features", default="features")
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--weights", default="final.pt", choices=["final.pt", "best.pt"])
    args = p.parse_args()
    torch.set_num_threads(1)
    runs = [args.work / "runs" / name for name in args.name]
    join = onnx.load(args.join) if args.join else None
    members = [train.load(run, "cpu", args.weights) for run in runs]
    net = models.Committee(members, data.BANKS, also=["mel"] if join else []).eval()
    onnx.save(to_onnx(net, join), args.output)
    run = session(args.output)

    rows = [r for r in data.read_manifest(args.work) if r["split"] == "dev"]
    clean, noisy = [], []
    for bank in net.banks:
        store, noise = (data.Features(args.work / args.features / kind, bank) for kind in ("clean", "noise"))
        db, owner, speech = data.evaluation_windows(store, rows)
        rng = np.random.default_rng(0)  # the same noise for each bank
        snr = torch.from_numpy(rng.uniform(*SNR, (len(db), 1, 1)).astype(np.float32))
        clean.append(data.image(db))
        noisy.append(data.image(data.mixed(db, noise.random_windows(len(db), rng), snr)))
    labels = np.array([r["label"] == "fake" for r in rows]).astype(int)
    x, noisy = torch.cat(clean, 2), torch.cat(noisy, 2)

    def judged(images):
        return np.concatenate([run.run(None, {"pixel_values": w[None].numpy()})[0] for w in images])

    begun = time.perf_counter()
    logits = judged(x)
    each = (time.perf_counter() - begun) / len(x)
    with torch.no_grad():
        expected = torch.cat([net(w)[0] for w in x[:128].split(16)]).numpy()
    if join is not None:
        other = session(args.join)
        votes = len(net.members)
        more = np.concatenate([other.run(None, {"pixel_values": w[None, :, :data.BANDS].numpy()})[0]
                               for w in x[:128]])
        expected = (votes * expected + more) / (votes + 1)
    worst = np.abs(expected - logits[:128]).max()
    assert worst < 1e-4, f"ONNX Runtime differs from PyTorch by {worst}"

    score = (logits[:, 1] - logits[:, 0]).astype(float)
    in_noise = judged(noisy)
    slope, offset = metrics.platt(
        np.concatenate([score, in_noise[:, 1] - in_noise[:, 0]]).astype(float), np.tile(labels[owner], 2))
    llr = slope * score + offset
    files, numbers = metrics.per_file(llr, owner, speech)
    threshold = 0.0  # even odds, which calibration makes the point of equal costs
    digest = hashlib.sha256(args.output.read_bytes()).hexdigest()
    size = args.output.stat().st_size
    weights = sum(int(np.prod(i.dims)) for i in onnx.load(args.output).graph.initializer)
    print(f"# {weights} parameters, {size} bytes, largest "
          f"difference from PyTorch {worst:.1e}, ONNX Runtime {1000 * each:.2f} ms a window")
    for name, s, y in (("window", llr, labels[owner]), ("file", files, labels[numbers])):
        rate, cut = metrics.eer(s, y)
        wrong = [float((s[y == 0] > threshold).mean()), float((s[y == 1] <= threshold).mean())]
        print(f"# dev per {name}: n {len(s)}, EER {100 * rate:.1f} % at llr {cut:.3f}, AUC "
              f"{metrics.auc(s, y):.3f}, ECE {100 * metrics.ece(s, y):.1f} %, at the threshold "
              f"{100 * wrong[0]:.1f} % of real flagged, {100 * wrong[1]:.1f} % of fake missed")
    print(f'sha256 = "{digest}"\nmean = [{data.MEAN}]\nstd = [{data.STD}]\nslope = {slope:.6f}\n'
          f"offset = {offset:.6f}")


if __name__ == "__main__":
    main()
