"""Faster training of the ConvNeXt on a CPU: bfloat16, channels-last kernels from fastcpu.c.

PyTorch's weight gradient of a 7x7 depthwise convolution takes most of a training step on one
core; this one is some fifty times faster, and GELU and LayerNorm gain too.  `patch(net)` swaps
them in for training; evaluation, export and a GPU use plain PyTorch.  Without a C compiler
nothing is swapped.  `python fastcpu.py` compares every kernel with PyTorch.
"""

import ctypes
import hashlib
import subprocess
import tempfile
import types
from pathlib import Path

import torch
from torch.nn import functional as F

import model as models

BF16 = torch.bfloat16


def build():
    """The compiled kernels (cached in the temporary folder), or None without a compiler."""
    source = Path(__file__).with_name("fastcpu.c")
    tag = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"fastcpu-{tag}.so"
    if not library.exists():
        command = ["cc", "-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512",
                   "-shared", "-fPIC", str(source), "-o", str(library), "-lmvec", "-lm"]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    return ctypes.CDLL(str(library))


LIB = None


def at(tensor):
    return ctypes.c_void_p(tensor.data_ptr())


def packed(x):
    return x.to(BF16).contiguous(memory_format=torch.channels_last)


class Depthwise(torch.autograd.Function):
    """7x7 depthwise convolution, padding 3; x [N, C, H, W], C a multiple of 16."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        x, w = packed(x), weight.to(BF16)
        ctx.save_for_backward(x, w)
        return F.conv2d(x, w, bias.to(BF16), padding=3, groups=x.shape[1])

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        g = packed(g)
        n, c, height, width = x.shape
        dx = F.conv2d(g, w.flip(2, 3), padding=3, groups=c)
        dw = torch.empty(7, 7, c)
        if LIB.depthwise_weight_gradient(at(x), at(g), at(dw), n, height, width, c):
            raise MemoryError("depthwise weight gradient")
        return dx, dw.permute(2, 0, 1).unsqueeze(1), g.sum((0, 2, 3), dtype=torch.float32)


class Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x = packed(x)
        ctx.save_for_backward(x)
        y = torch.empty_like(x)
        LIB.gelu(at(x), at(y), ctypes.c_long(x.numel()))
        return y

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        g, out = packed(g), torch.empty_like(x)
        LIB.gelu_gradient(at(x), at(g), at(out), ctypes.c_long(x.numel()))
        return out


class Norm(torch.autograd.Function):
    """LayerNorm over the channels of [N, C, H, W]."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        x = packed(x)
        rows, c = x.numel() // x.shape[1], x.shape[1]
        y, mean, scale = torch.empty_like(x), torch.empty(rows), torch.empty(rows)
        LIB.layer_norm(at(x), at(weight), at(bias), ctypes.c_float(eps), at(y), at(mean),
                       at(scale), ctypes.c_long(rows), c)
        ctx.save_for_backward(x, weight, mean, scale)
        return y

    @staticmethod
    def backward(ctx, g):
        x, weight, mean, scale = ctx.saved_tensors
        g, dx = packed(g), torch.empty_like(x)
        dweight, dbias = torch.zeros_like(weight), torch.zeros_like(weight)
        LIB.layer_norm_gradient(at(x), at(g), at(weight), at(mean), at(scale), at(dx),
                                at(dweight), at(dbias), ctypes.c_long(len(mean)), x.shape[1])
        return dx, dweight, dbias, None


def patch(net):
    """Uses the kernels in a network of model.py while it trains.  True if it did."""
    global LIB
    LIB = LIB or build()
    if LIB is None or not isinstance(net, models.ConvNeXt):
        return False
    plain_norm = models.ChannelNorm.forward

    def norm(self, x):
        if not self.training:
            return plain_norm(self, x)
        return Norm.apply(x, self.weight, self.bias, self.eps)

    def block(self, x):
        if not self.training:
            return models.Block.forward(self, x)
        y = self.norm(Depthwise.apply(x, self.depthwise.weight, self.depthwise.bias))
        return x + self.drop(self.project(Gelu.apply(self.expand(y))))

    for module in net.modules():
        if isinstance(module, models.ChannelNorm):
            module.forward = types.MethodType(norm, module)
        elif isinstance(module, models.Block) and module.depthwise.weight.shape[0] % 16 == 0:
            module.forward = types.MethodType(block, module)
        elif isinstance(module, torch.nn.GELU):
            module.forward = types.MethodType(
                lambda self, x: Gelu.apply(x) if self.training else F.gelu(x), module)
    return True


def check():
    """Prints the largest relative difference from PyTorch in float32 (bfloat16: about 1e-2)."""
    global LIB
    LIB = build()
    torch.manual_seed(0)
    x0, w0, b0 = torch.randn(3, 32, 9, 13), torch.randn(32, 1, 7, 7) / 7, torch.randn(32)
    cases = {
        "depthwise": (lambda x, w, b: Depthwise.apply(x, w, b),
                      lambda x, w, b: F.conv2d(x, w, b, padding=3, groups=32), (x0, w0, b0)),
        "gelu": (Gelu.apply, F.gelu, (x0,)),
        "norm": (lambda x, w, b: Norm.apply(x, w, b, 1e-6), lambda x, w, b: F.layer_norm(
            x.permute(0, 2, 3, 1), (32,), w, b, 1e-6).permute(0, 3, 1, 2), (x0, b0 + 1, b0)),
    }
    for name, (ours, theirs, inputs) in cases.items():
        worst, results = 0.0, []
        for f in (ours, theirs):
            leaves = [i.clone().requires_grad_() for i in inputs]
            y = f(*leaves)
            g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
            (y.float() * g).sum().backward()
            results.append([y.detach().float(), *[i.grad for i in leaves]])
        for a, b in zip(*results):
            worst = max(worst, float((a - b).abs().max() / b.abs().max()))
        print(f"{name}: {worst:.1e}")


if __name__ == "__main__":
    check()
