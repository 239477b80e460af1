"""Writes a trained network, or several as a committee, as ONNX (opset 20) and calibrates it on dev.

    python export.py --work WORK --name fused --output WORK/bonafide-small.onnx
    python export.py --work WORK --name a b c --output WORK/committee.onnx

Input `pixel_values` float32 [batch, 1, rows, 200], output `logits` float32 [batch, 2] ("bonafide",
"spoof"); a card or a server takes windows together, the CPU one by one.  The graph is written node by
node: pointwise convolutions stay Conv 1x1 on NCHW, GELU is one Gelu node, LayerNorm is
LayerNormalization between two transposes, BatchNorm is folded into the convolution before it.  Checks
that the file agrees with PyTorch within 1e-4 in ONNX Runtime, then, on dev windows scored by ONNX
Runtime, each once as it is and once under noise or music, fits llr = slope * (spoof - bonafide) + offset with
equal class weights (Platt), unless train_fusion.py has calibrated it; and prints, for the windows as they are, EER, AUC
and calibration error with the numbers for the manifest, whose threshold stays at even odds.  `slope` and `offset` make
llr a natural-log likelihood ratio ln p(x | spoof) / p(x | bona fide).
"""

import argparse
import functools
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
            before = norm.running_mean if bias is None else norm.running_mean - bias
            weight, bias = weight * gain.view(-1, 1, 1, 1), norm.bias - before * gain
        (a, b), (c, d) = layer.padding, layer.kernel_size
        return self.node("Conv", x, self.constant(weight), self.constant(bias),
                         kernel_shape=[c, d], strides=list(layer.stride), pads=[a, b, a, b],
                         dilations=list(layer.dilation), group=layer.groups)

    def norm(self, x, layer):
        x = self.node("Transpose", x, perm=[0, 2, 3, 1])
        x = self.node("LayerNormalization", x, self.constant(layer.weight),
                      self.constant(layer.bias), axis=-1, epsilon=layer.eps)
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def over(self, op, x, axes, keep=0):
        return self.node(op, x, self.constant(np.array(axes, np.int64)), keepdims=keep)

    def part(self, x, start, end, axis=2):
        ends = [self.constant(np.array([n], np.int64)) for n in (start, end, axis)]
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

    def linear(self, x, layer):
        return self.node("Gemm", x, self.constant(layer.weight), self.constant(layer.bias), transB=1)

    def pooled(self, x, head):
        """models.Head.pool."""
        rows = self.conv(x, head.mix)
        mean = self.over("ReduceMean", rows, [3], 1)
        apart = self.node("Sub", rows, mean)
        variance = self.over("ReduceMean", self.node("Mul", apart, apart), [3])
        small = self.constant(np.float32(1e-4))
        deviation = self.node("Sqrt", self.node("Add", variance, small))
        return self.node("Concat", self.over("ReduceMean", x, [2, 3]), self.over("ReduceMax", x, [2, 3]),
                         self.node("Flatten", mean), self.node("Flatten", deviation), axis=1)

    def slope(self, x):
        """Of [N, 1, rows, T]: half of what lies between the frames before and after."""
        apart = self.node("Sub", self.part(x, 2, 1 << 30, 3), self.part(x, 0, -2, 3))
        return self.node("Mul", apart, self.constant(np.float32(0.5)))

    def moments(self, x, frames):
        """models.Statistics.moments, of x [N, 1, rows, T] over several choices of frames at once, frames
        [N, 1, T, choices]: mean and deviation [N, 1, rows, choices]."""
        count = self.node("Max", self.over("ReduceSum", frames, [2], 1), self.constant(np.float32(1)))
        middle = self.over("ReduceMean", x, [3], 1)
        x = self.node("Sub", x, middle)  # small numbers, whose squares are exact
        mean = self.node("Div", self.node("MatMul", x, frames), count)
        square = self.node("Div", self.node("MatMul", self.node("Mul", x, x), frames), count)
        variance = self.node("Sub", square, self.node("Mul", mean, mean))
        least = self.constant(np.float32(1e-8))
        deviation = self.node("Sqrt", self.node("Add", self.node("Relu", variance), least))
        return self.node("Add", mean, middle), deviation

    def modulation(self, x, net):
        """models.Statistics.modulation."""
        lines = net.lines.shape
        x = self.node("Conv", x, self.constant(net.lines), kernel_shape=list(lines[2:]), strides=[1, lines[3] // 2])
        power = self.over("ReduceMean", self.node("Mul", x, x), [3])
        power = self.node("MatMul", self.constant(net.rates), power)
        return self.node("Flatten", self.node("Log", self.node("Add", power, self.constant(np.float32(1e-6)))))

    @functools.cache
    def image_parts(self, x):
        """Levels and measures of an image of all that is fine, and models.Statistics.frames: [N, 1, T, ranges]."""
        levels, measures = self.part(x, 0, data.BANDS), self.part(x, data.BANDS, 1 << 30)
        level = self.over("ReduceMax", levels, [2], 1)
        below = self.node("Sub", self.over("ReduceMax", level, [3], 1), level)
        below = self.node("Mul", below, self.constant(np.float32(80 * data.STD)))
        near, far = (self.constant(np.array(dB, np.float32).reshape(1, 1, -1, 1))
                     for dB in zip(*models.Statistics.RANGES))
        within = self.node("And", self.node("GreaterOrEqual", below, near), self.node("Less", below, far))
        frames = self.node("Cast", within, to=TensorProto.FLOAT)
        loud, quiet = self.part(frames, 0, 2), self.part(frames, 2, 1 << 30)
        few = self.part(frames, 1, 2)
        few = self.node("Div", few, self.over("ReduceSum", few, [3], 1))
        few = self.node("Mul", few, self.constant(np.float32(models.Statistics.FEW)))
        frames = self.node("Concat", loud, self.node("Add", quiet, few), axis=2)
        return levels, measures, self.node("Transpose", frames, perm=[0, 1, 3, 2])

    def statistics(self, x, net):
        """models.Statistics.measure."""
        levels, measures, frames = self.image_parts(x)
        # A slope loses a frame at each end.
        both = self.part(frames, 0, 2, 3)
        loud = [both, self.part(both, 1, -1), self.part(both, 2, -2)]
        cepstra = self.node("MatMul", self.constant(net.dct), levels)
        slopes = self.slope(cepstra)
        moving = [self.moments(y, some)[1] for y, some in zip((cepstra, slopes, self.slope(slopes)), loud)]
        moving = self.node("Transpose", self.node("Concat", *moving, axis=2), perm=[0, 1, 3, 2])
        apart = self.node("Concat", *self.moments(measures, self.part(frames, 1, 1 << 30, 3)), axis=1)
        apart = self.node("Transpose", apart, perm=[0, 3, 1, 2])  # the moments of some frames beside each other
        sloping = self.moments(self.slope(measures), self.part(loud[1], 1, 2, 3))[1]
        low = self.modulation(self.part(cepstra, 0, net.MOVING), net)
        return self.node("Concat", *(self.node("Flatten", y) for y in (moving, apart, sloping)), low, axis=1)

    def normalised(self, x, net):
        """models.Judged.measure, of what its body measures."""
        x = self.node("Sub", x, self.constant(net.mean))
        x = self.node("Mul", x, self.constant(1 / net.scale))
        far = np.float32(net.FAR)
        return self.node("Clip", x, self.constant(-far), self.constant(far))

    def judge(self, x, net):
        """models.Judged.judge."""
        return self.linear(self.node("Relu", self.linear(x, net.hidden)), net.answers)

    def fused(self, answers, measured, net):
        """models.Fused.forward, of what its members answer and its listener measures."""
        first, _, _, last = net.condition
        told = self.linear(self.node("Relu", self.linear(measured, first)), last)
        told = self.node("Softmax", told, axis=1)
        weight = self.node("Gemm", told, self.constant(net.weight), transB=0)
        offset = self.node("MatMul", told, self.constant(net.bias.view(-1, 1)))
        answers = self.node("Mul", self.node("Concat", *answers, axis=1), weight)
        return self.node("Add", self.over("ReduceSum", answers, [1], 1), offset)

    def logits(self, difference):
        """models.logits, of [N, 1]."""
        half = self.node("Mul", difference, self.constant(np.float32(0.5)))
        return self.node("Concat", self.node("Neg", half), half, axis=1)

    def delay(self, x, net):
        """models.TimeDelay.measure."""
        _, measures, frames = self.image_parts(x)
        loud = self.part(frames, 1, 2, 3)
        conv, norm, _ = net.frame
        gain = net.norm.weight / (net.norm.running_var + net.norm.eps).sqrt()
        shift = net.norm.bias - net.norm.running_mean * gain
        first = torch.nn.Conv2d(*conv.weight.shape[1::-1], 1)  # with the BatchNorm before it
        first.weight.data = conv.weight.data * gain.view(1, -1, 1, 1)
        first.bias.data = conv.weight.data.flatten(1) @ shift
        x = self.node("Relu", self.conv(self.turned(measures), first, norm))
        pooled = [*self.moments(self.turned(x), loud)]
        for conv, norm, _ in net.delays:
            x = self.node("Add", x, self.node("Relu", self.conv(x, conv, norm)))
        pooled += self.moments(self.turned(x), loud)
        return self.node("Concat", *(self.node("Flatten", y) for y in pooled), axis=1)

    @functools.cache  # once for all that look at it
    def turned(self, x):
        """Rows as channels, or back."""
        return self.node("Transpose", x, perm=[0, 2, 1, 3])

    def convolutions(self, x, net):
        """models.ResNet.measure or models.ConvNeXt.measure, of a centred image."""
        if isinstance(net, models.ResNet):
            conv, norm, _ = net.stem
            x = self.node("Relu", self.conv(x, conv, norm))
        else:
            for layer in net.stem:
                x = self.layer(x, layer)
        for layer in net.stages:
            x = self.layer(x, layer)
        return self.pooled(x, net.head)


def to_onnx(committee):
    g = Graph()
    image = "pixel_values"
    height = committee.columns.stop - committee.columns.start

    @functools.cache  # once for all that look at it
    def bank(name):
        rows = committee.rows[name]
        whole = (rows.start, rows.stop) == (0, height)
        return image if whole else g.part(image, rows.start, rows.stop)

    @functools.cache
    def centred(name):
        return g.node("Sub", bank(name), g.over("ReduceMean", bank(name), [3], 1))

    def measured(net, name):
        if isinstance(net, models.Statistics):
            return g.statistics(bank(name), net)
        if isinstance(net, models.TimeDelay):
            return g.delay(bank(name), net)
        return g.convolutions(centred(name), net)

    def judged(member):
        """What a Judged measures, and both its answers."""
        x = g.normalised(measured(member.body, member.bank), member)
        return x, g.judge(x, member)

    @functools.cache  # once, however many votes it has
    def answered(member):
        if isinstance(member, models.Judged):
            return g.logits(g.part(judged(member)[1], 0, 1, 1))
        head = member if isinstance(member, models.TimeDelay) else member.head
        return g.linear(measured(member, member.bank), head.verdict)

    if isinstance(committee, models.Fused):
        found = [judged(member) for member in committee.members]
        g.logits(g.fused([answers for _, answers in found], found[committee.listener][0], committee))
    else:
        g.node("Mean", *map(answered, committee.members))
    g.nodes[-1].output[0] = "logits"
    shape = ["batch", 1, height, data.WINDOW]
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
    p.add_argument("--name", required=True, nargs="+", help="a run, or several, which then vote")
    p.add_argument("--features", default="features")
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--weights", default="final.pt", choices=["final.pt", "best.pt"])
    args = p.parse_args()
    torch.set_num_threads(1)
    members = {name: train.load(args.work / "runs" / name, "cpu", args.weights) for name in args.name}
    members = [members[name] for name in args.name]
    fused = len(members) == 1 and isinstance(members[0], models.Fused)
    net = members[0] if fused else models.Committee(members, data.BANKS).eval()
    onnx.save(to_onnx(net), args.output)
    run = session(args.output)

    rows = [r for r in data.read_manifest(args.work) if r["split"] == "dev"]
    store = data.Features(args.work / args.features / "clean", net.columns, False)
    db, owner, speech = data.evaluation_windows(store, rows)
    x = data.image(db)
    labels = np.array([r["label"] == "fake" for r in rows]).astype(int)

    def judged(images):
        return np.concatenate([run.run(None, {"pixel_values": w[None].numpy()})[0] for w in images])

    def score_of(logits):
        return (logits[:, 1] - logits[:, 0]).astype(float)

    begun = time.perf_counter()
    logits = judged(x)
    each = (time.perf_counter() - begun) / len(x)
    with torch.no_grad():
        expected = torch.cat([net(w)[0] for w in x[:128].split(16)]).numpy()
    worst = np.abs(expected - logits[:128]).max()
    assert worst < 1e-4, f"ONNX Runtime differs from PyTorch by {worst}"

    score = score_of(logits)
    slope, offset = 1.0, 0.0
    if not fused:  # else train_fusion.py has calibrated it
        rng = np.random.default_rng(0)
        snr = torch.from_numpy(rng.uniform(*SNR, (len(db), 1, 1)).astype(np.float32))
        noise = data.Features(args.work / args.features / "noise", net.columns).random_windows(len(db), rng)
        noisy = score_of(judged(data.image(data.mixed(db, noise, snr))))
        slope, offset = metrics.platt(np.concatenate([score, noisy]), np.tile(labels[owner], 2))
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
