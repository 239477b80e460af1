"""The networks: ConvNeXts, small residual networks, one with delays, statistics, layers that judge what these measure,
and several as one.

Input: x [N, 1, rows, T] float32, the normalised image of one bank (data.py; row 0 = lowest band,
one column per 10 ms; T = 200 for a 2-s window).  Output: (logits [N, 2] in the order ("bonafide", "spoof"),
auxiliary logits [N, n_aux] over generator tags, only used in training).  ConvNeXt and ResNet first take
each band's mean over the window away (`centred`) and end in the same head (`Head`).  `measure` gives what a network's
head, or a layer in its place (`Judged`), judges: [N, features].

ConvNeXt: Liu et al., "A ConvNet for the 2020s" (arXiv:2201.03545): 7x7 depthwise convolution,
LayerNorm over channels, pointwise expansion by 4, GELU, pointwise projection, residual; four
stages with a LayerNorm + 2x2/2 convolution between them.  Two differences, both to let it learn
from two hours of speech: the stem is two overlapping 3x3/2 convolutions instead of one 4x4/4
patch, and the layer scale is left out (equals an initial value of 1).
ResNet: He et al. (arXiv:1512.03385), ten convolutions, BatchNorm.
"""

import torch
from torch import nn
from torch.nn import functional as F

import data
from data import BANDS, MEASURES, STD

LABELS = ("bonafide", "spoof")
KEPT = 48  # channels whose place in frequency the head knows
HINT = 768  # size of a ResNet's pooled features, which a ConvNeXt learns to predict
RESNET = {"mini": (16, 32, 64, 96), "slim": (24, 48, 96, 144), "resnet": (32, 64, 128, 192)}
CONVNEXT = {
    "small": dict(dims=(32, 64, 128, 256), depths=(2, 2, 4, 2)),
    "nano": dict(dims=(24, 48, 96, 192), depths=(2, 2, 4, 2)),
    "tiny": dict(dims=(32, 64, 128, 256), depths=(1, 1, 3, 1)),
    "base": dict(dims=(40, 80, 160, 320), depths=(2, 2, 6, 2)),
}


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of [N, C, H, W], with a learned scale and offset per channel."""

    def __init__(self, channels, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


def centred(x):
    """Takes each band's mean over the window away: what remains does not know the microphone,
    equaliser or spectral tilt."""
    return x - x.mean(3, keepdim=True)


class DropPath(nn.Module):
    """Leaves a residual branch out for a random share `p` of the examples (training only)."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0.0:
            return x
        keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.p
        return x * keep.to(x.dtype) / (1.0 - self.p)


class Block(nn.Module):
    """One ConvNeXt block: [N, C, H, W] -> [N, C, H, W]."""

    def __init__(self, dim, drop):
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = ChannelNorm(dim)
        self.expand = nn.Conv2d(dim, 4 * dim, 1)
        self.project = nn.Conv2d(4 * dim, dim, 1)
        self.drop = DropPath(drop)

    def forward(self, x):
        y = self.norm(self.depthwise(x))
        y = self.project(F.gelu(self.expand(y)))
        return x + self.drop(y)


class Head(nn.Module):
    """[N, C, F, T] -> pooled features and both outputs: mean and maximum over all, and, of KEPT
    mixed channels, mean and standard deviation over time in each row of frequencies: a vocoder's
    fault sits at a certain frequency, and a plain mean forgets which."""

    def __init__(self, channels, rows, n_aux, dropout):
        super().__init__()
        width = 2 * channels + 2 * KEPT * rows
        self.mix = nn.Conv2d(channels, KEPT, 1)
        self.dropout = nn.Dropout(dropout)
        self.verdict = nn.Linear(width, len(LABELS))
        self.aux = nn.Linear(width, max(1, n_aux))

    def pool(self, x):
        rows = self.mix(x).float()
        mean = rows.mean(3, keepdim=True)
        deviation = ((rows - mean).square().mean(3) + 1e-4).sqrt()
        return torch.cat([x.mean((2, 3)).float(), x.amax((2, 3)).float(),
                          mean.flatten(1), deviation.flatten(1)], 1)

    def forward(self, pooled):
        pooled = self.dropout(pooled)
        return self.verdict(pooled), self.aux(pooled)


class ConvNeXt(nn.Module):
    def __init__(self, dims, depths, n_aux, drop_path=0.02, dropout=0.1):
        super().__init__()
        half = dims[0] // 2
        self.stem = nn.Sequential(
            nn.Conv2d(1, half, 3, stride=2, padding=1), ChannelNorm(half), nn.GELU(),
            nn.Conv2d(half, dims[0], 3, stride=2, padding=1), ChannelNorm(dims[0]))
        rates = torch.linspace(0, drop_path, sum(depths)).tolist()
        layers, before = [], dims[0]
        for stage, (dim, depth) in enumerate(zip(dims, depths)):
            if stage:
                layers += [ChannelNorm(before), nn.Conv2d(before, dim, 2, stride=2)]
            layers += [Block(dim, rates.pop(0)) for _ in range(depth)]
            before = dim
        self.stages = nn.Sequential(*layers, ChannelNorm(before))
        self.head = Head(before, 4, n_aux, dropout)
        self.hint = nn.Linear(self.head.verdict.in_features, HINT)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="linear")
        for module in self.modules():
            if isinstance(module, Block):  # residual branches start small, not at zero
                module.project.weight.data.mul_(0.5)

    def measure(self, x):
        return self.head.pool(self.stages(self.stem(centred(x))))

    def forward(self, x):
        pooled = self.measure(x)
        self.pooled = self.hint(pooled) if self.training else None
        return self.head(pooled)


class Residual(nn.Module):
    def __init__(self, before, dim, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, dim, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(dim)
        self.skip = nn.Identity() if stride == 1 and before == dim else nn.Sequential(
            nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity(),
            nn.Conv2d(before, dim, 1, bias=False), nn.BatchNorm2d(dim))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.skip(x))


class ResNet(nn.Module):
    def __init__(self, n_aux, dims, dropout=0.2):
        super().__init__()
        stem = dims[0] // 2
        self.stem = nn.Sequential(nn.Conv2d(1, stem, 3, stride=2, padding=1, bias=False),
                                  nn.BatchNorm2d(stem), nn.ReLU())
        layers, before = [], stem
        for dim in dims:
            layers.append(Residual(before, dim, 2))
            before = dim
        self.stages = nn.Sequential(*layers)
        self.head = Head(before, 4, n_aux, dropout)

    def measure(self, x):
        return self.head.pool(self.stages(self.stem(centred(x))))

    def forward(self, x):
        self.pooled = self.measure(x)
        return self.head(self.pooled)


class Statistics(nn.Module):
    """How a window's sound moves, in numbers; nothing here is learned.

    x [N, 1, 351, T]: levels of 128 bands of one width, comodulation, novelty and shape of the residual ("fine" in
    data.py).  `measure` has:
    - of the frames within 25 dB of the loudest, and again of those within 40 dB, the standard deviation of 80
      cepstra (DCT of the levels, 1..80), of their slopes and of their slopes' slopes;
    - of each value that is no level, mean and deviation over those within 40 dB, over weak frames and over faint
      ones, and the deviation of its slopes within 40 dB;
    - how fast the first 40 cepstra move: the logarithm of the power of their modulations in each of RATES.
    No means of levels: they would know the microphone.  Convolutions do not find these by themselves in two hours
    of speech."""

    CEPSTRA, MOVING = 80, 40
    # How far below the loudest frame, dB: loud ones twice, weak ones, faint ones (but no digital silence, at 80).
    RANGES = ((0, 25), (0, 40), (15, 30), (30, 79))
    FEW = 5  # frames: that much all within 40 dB weigh together beside the weak and the faint, of which a window may lack
    PIECE = 40  # frames of a modulation spectrum, whose lines lie 2.5 Hz apart; half of them overlap
    RATES = ((1, 2), (2, 4), (4, 7), (7, 11), (11, 16), (16, 21))  # lines, first and one behind the last

    def __init__(self):
        super().__init__()
        k, n = torch.arange(1, self.CEPSTRA + 1).view(-1, 1), torch.arange(BANDS)
        self.register_buffer("dct", torch.cos(torch.pi * k * (2 * n + 1) / (2 * BANDS)) * (2 / BANDS) ** 0.5)
        lines = torch.arange(1, self.RATES[-1][1]).view(-1, 1) * 2 * torch.pi * torch.arange(self.PIECE) / self.PIECE
        window = torch.hann_window(self.PIECE) / (self.PIECE / 2)  # periodic; its sum becomes 1
        self.register_buffer("lines", (torch.cat([lines.cos(), lines.sin()]) * window).view(-1, 1, 1, self.PIECE))
        rates = [[float(low <= line % lines.shape[0] + 1 < high) / (high - low) for line in range(2 * len(lines))]
                 for low, high in self.RATES]
        self.register_buffer("rates", torch.tensor(rates))

    @classmethod
    def frames(cls, x):
        """How much each frame of images counts in each of RANGES, [N, 1, 1, T] each."""
        level = x[:, :, :BANDS].amax(2, keepdim=True)
        below = (level.amax(3, keepdim=True) - level) * (80 * STD)  # dB
        louder, loud, *quiet = [((below >= near) & (below < far)).float() for near, far in cls.RANGES]
        few = loud * (cls.FEW / loud.sum(3, keepdim=True))  # the loudest frame is one of them
        return [louder, loud, *(frames + few for frames in quiet)]

    @staticmethod
    def slope(x):
        return (x[..., 2:] - x[..., :-2]) / 2

    @staticmethod
    def moments(x, frames):
        """Mean and standard deviation of x [N, 1, rows, T], each frame weighed by frames [N, 1, 1, T or more]:
        [N, rows] each."""
        cut = (frames.shape[3] - x.shape[3]) // 2
        frames = frames[..., cut:frames.shape[3] - cut]
        count = frames.sum(3, keepdim=True).clamp(min=1)
        mean = (x * frames).sum(3, keepdim=True) / count
        variance = ((x - mean).square() * frames).sum(3, keepdim=True) / count
        return mean.flatten(1), (variance + 1e-8).sqrt().flatten(1)

    def modulation(self, x):
        """ln of the power of the modulations of x [N, 1, MOVING, T], [N, rates x MOVING]."""
        power = F.conv2d(x, self.lines, stride=(1, self.PIECE // 2)).square().mean(3)
        return (self.rates @ power + 1e-6).log().flatten(1)

    def measure(self, x):
        levels, measures = x[:, :, :BANDS], x[:, :, BANDS:]
        louder, loud, weak, faint = self.frames(x)
        cepstra = self.dct @ levels
        slopes = self.slope(cepstra)
        moving = [self.moments(m, some)[1] for some in (louder, loud) for m in (cepstra, slopes, self.slope(slopes))]
        apart = [moment for some in (loud, weak, faint) for moment in self.moments(measures, some)]
        return torch.cat([*moving, *apart, self.moments(self.slope(measures), loud)[1],
                          self.modulation(cepstra[:, :, :self.MOVING])], 1)


class TimeDelay(nn.Module):
    """How what is no level goes on from frame to frame: a time-delay network (x-vectors, Snyder et al. 2018) with
    residual connections, which learns what Statistics has to be told (train.py).

    x [N, 1, 351, T] as there; of the levels it only takes which frames are loud.  Of each frame `width` neurons,
    then `depth` convolutions over three frames, 1, 2, 4 ... apart; mean and deviation over the loud frames of
    what comes before and behind these."""

    def __init__(self, n_aux, width=64, depth=5, dropout=0.5):
        super().__init__()
        self.norm = nn.BatchNorm2d(MEASURES)
        self.frame = nn.Sequential(nn.Conv2d(MEASURES, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.delays = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, (1, 3), padding=(0, 2 ** i), dilation=(1, 2 ** i), bias=False),
                          nn.BatchNorm2d(width), nn.ReLU()) for i in range(depth))
        self.forget = nn.Dropout2d(0.2)  # whole measures
        self.dropout = nn.Dropout(dropout)
        self.verdict = nn.Linear(4 * width, len(LABELS))
        self.aux = nn.Linear(4 * width, max(1, n_aux))

    def measure(self, x):
        _, loud, *_ = Statistics.frames(x)
        x = self.frame(self.forget(self.norm(x[:, :, BANDS:].transpose(1, 2))))
        pooled = Statistics.moments(x.transpose(1, 2), loud)
        for delay in self.delays:
            x = x + delay(x)
        return torch.cat([*pooled, *Statistics.moments(x.transpose(1, 2), loud)], 1)

    def forward(self, x):
        self.pooled = self.measure(x)
        pooled = self.dropout(self.pooled)
        return self.verdict(pooled), self.aux(pooled)


class Judged(nn.Module):
    """A network whose features a layer of neurons judges (train_judge.py): x as the network takes it.

    Two answers of one layer, both logit_spoof - logit_bonafide: of neurons that learned from clean sound alone, and of
    those that learned from degraded sound too.  `forward` gives the first; Fused takes both."""

    FAR = 8.0  # deviations from the mean; what lies farther is taken to lie there

    def __init__(self, body, features, width):
        super().__init__()
        self.body = body
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.hidden = nn.Linear(features, width)
        self.answers = nn.Linear(width, 2)

    def measure(self, x):
        """Features of x in deviations from their mean, [N, features]."""
        return ((self.body.measure(x) - self.mean) / self.scale).clamp(-self.FAR, self.FAR)

    def judge(self, measured):
        """Both answers [N, 2] to features as `measure` gives them."""
        return self.answers(F.relu(self.hidden(measured)))

    def forward(self, x):
        return logits(self.judge(self.measure(x))[:, 0]), None


def logits(difference):
    """Logits [N, 2] whose difference, spoof - bona fide, is as given [N]."""
    return torch.stack([-difference / 2, difference / 2], 1)


class Committee(nn.Module):
    """Several networks as one: the mean of their logits.  No training of its own.  `banks` tells the columns of each
    bank (data.BANKS); its image holds all that lies between the first and the last that a member looks at
    (`member.bank`)."""

    def __init__(self, members, banks):
        super().__init__()
        used = [banks[member.bank] for member in members]
        first = min(columns.start for columns in used)
        self.columns = slice(first, max(columns.stop for columns in used))
        self.rows = {bank: slice(columns.start - first, columns.stop - first) for bank, columns in banks.items()}
        self.members = nn.ModuleList(members)

    def forward(self, x):
        votes = [member(x[:, :, self.rows[member.bank]])[0] for member in self.members]
        return sum(votes) / len(votes), None


class Fused(Committee):
    """Judged networks as one, each worth as much as it is on such sound (train_fusion.py): logistic regression on their
    answers (Brummer et al., IEEE TASLP 2007) whose weights depend on what has happened to the sound, as quality
    measures do in speaker recognition (Garcia-Romero et al., Odyssey 2004).

    What has happened, one of `conditions` kinds or nothing (the first), a layer tells from what the statistics measure;
    it does not know who speaks.  The difference of the logits is a log-likelihood ratio."""

    def __init__(self, members, conditions, hidden=64):
        super().__init__(members, data.BANKS)
        self.bank = "fine"
        self.listener = next(i for i, net in enumerate(members) if isinstance(net.body, Statistics))
        self.condition = nn.Sequential(nn.Linear(len(members[self.listener].mean), hidden), nn.ReLU(), nn.Dropout(0.5),
                                       nn.Linear(hidden, 1 + conditions))
        self.register_buffer("weight", torch.zeros(1 + conditions, 2 * len(members)))
        self.register_buffer("bias", torch.zeros(1 + conditions))

    def listen(self, x):
        """Answers of all members [N, 2 members] and the probability of each condition [N, 1 + conditions]."""
        measured = [net.measure(x[:, :, self.rows[net.bank]]) for net in self.members]
        answers = [net.judge(features) for net, features in zip(self.members, measured)]
        return torch.cat(answers, 1), self.condition(measured[self.listener]).softmax(1)

    def forward(self, x):
        answers, conditions = self.listen(x)
        return logits(((conditions @ self.weight) * answers).sum(1) + conditions @ self.bias), None


def build(name, n_aux=0):
    """A network by name: one of RESNET or of CONVNEXT, "delay" or "statistics"."""
    if name == "statistics":
        return Statistics()
    if name == "delay":
        return TimeDelay(n_aux)
    return ResNet(n_aux, RESNET[name]) if name in RESNET else ConvNeXt(**CONVNEXT[name], n_aux=n_aux)


def described(saved):
    """The network that a run's file describes, without its weights: of train.py, train_judge.py or train_fusion.py."""
    if "members" in saved:
        return Fused([described(member) for member in saved["members"]], saved["conditions"])
    net = build(saved["model"], saved["n_aux"])
    if "judge" in saved:
        net = Judged(net, *saved["judge"])
    net.bank = saved["bank"]
    return net
