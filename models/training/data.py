"""Features on disk -> training batches and evaluation windows.

A feature folder is written by `bonafide features LIST.csv --root DIR -o FOLDER` (the Rust front
end, the same code that runs in the plugin) and holds
  frames.npy  float16 [total frames, 256]: band levels in dB, a row per 10 ms: 128 mel bands of a
              long window, then 128 bands of one width of a short one, each lowest band first;
  speech.npy  float16 [total frames]: seconds of speech in the 2-s window that starts there;
  index.csv   path, first_frame, frames.
A network looks at one of these banks.  A window is 200 frames; a shorter clip is repeated.  The
image that a network sees is x = clip(dB - max dB of the window, -80, 0) / 80 + 1, then (x - MEAN) / STD, as [1, 128, 200].
"""

import csv
from pathlib import Path

import numpy as np
import torch

BANDS, WINDOW, HOP = 128, 200, 50  # bands of a bank; frames a window; frames between evaluation windows
BANKS = {"mel": slice(0, BANDS), "linear": slice(BANDS, 2 * BANDS)}
LOWEST_CUT = {"mel": 80, "linear": 54}  # band of a low-pass at 3.4 kHz
MIN_SPEECH = 0.5  # seconds of speech that a training window needs
LOG_DB = 0.2302585  # natural logarithm of a power ratio, per dB
MEAN, STD = 0.35, 0.22  # of the images of the clean training clips; fixed, in the manifest too
# Sources held out by --hold-out as harder validation folds, none of them in dev.  "recent": zero-shot
# TTS of 2024 and later, neural codecs, flow matching, and real sources without a fake counterpart;
# "mixed": multi-speaker TTS, GAN and source-filter vocoders, voice conversion by diffusion, wake words.
HARD_FOLDS = {
    "recent": (
        "index-tts/index-tts.github.io", "index-tts/index-tts2.github.io",
        "FireRedTeam/fireredteam.github.io", "Aria-K-Alethia/bigcodec-demo",
        "shivammehta25/Matcha-TTS", "voxserv/audio_quality_testing_samples", "google/speaker-id",
    ),
    "mixed": (
        "Edresson/YourTTS", "hiftnet/hiftnet.github.io", "Picovoice/wake-word-benchmark",
        "diffvc-fast-ml-solver/diffvc-fast-ml-solver.github.io",
        "bigvgan-demo/bigvgan-demo.github.io", "MycroftAI/mimic3-voices",
        "rhasspy/dataset-voice-kerstin", "bshall/urhythmic", "comospeech/comospeech.github.io",
    ),
}


def read_manifest(corpus):
    with open(Path(corpus) / "manifest.csv", newline="") as f:
        return list(csv.DictReader(f))


class Features:
    """One bank of a feature folder, in memory (about 2 GB for 8 copies)."""

    def __init__(self, folder, bank):
        folder = Path(folder)
        frames = np.load(folder / "frames.npy", mmap_mode="r")
        self.frames = np.array(frames[:, BANKS[bank]])  # in memory: windows are read at random
        self.speech = np.load(folder / "speech.npy").astype(np.float32)
        with open(folder / "index.csv", newline="") as f:
            self.index = {r["path"]: (int(r["first_frame"]), int(r["frames"]))
                          for r in csv.DictReader(f)}

    def window(self, path, start):
        """float32 [200, 128] in dB from frame `start` of the clip."""
        first, count = self.index[path]
        if count >= WINDOW:
            return self.frames[first + start:first + start + WINDOW].astype(np.float32)
        return self.frames[first + (start + np.arange(WINDOW)) % count].astype(np.float32)

    def random_start(self, path, rng):
        """A random window start with enough speech; None if the clip has none."""
        first, count = self.index[path]
        speech = self.speech[first:first + max(1, count - WINDOW + 1)]
        starts = np.flatnonzero(speech >= MIN_SPEECH)
        return int(rng.choice(starts)) if len(starts) else None

    def random_windows(self, count, rng):
        """Windows from anywhere: dB [count, 200, 128] (torch)."""
        paths = list(self.index)
        chosen = [paths[i] for i in rng.integers(len(paths), size=count)]
        starts = [rng.integers(max(1, self.index[p][1] - WINDOW + 1)) for p in chosen]
        return torch.from_numpy(np.stack([self.window(*c) for c in zip(chosen, starts)]))

    def eval_starts(self, path):
        """0, 0.5 s, 1.0 s, ... and one window that ends with the clip."""
        _, count = self.index[path]
        last = max(0, count - WINDOW)
        return sorted({*range(0, last + 1, HOP), last})


def image(db):
    """dB [N, 200, 128] -> normalised images [N, 1, 128, 200] (torch float32)."""
    x = db - db.amax((1, 2), keepdim=True)
    x = x.clamp(-80, 0) / 80 + 1
    return ((x - MEAN) / STD).transpose(1, 2).unsqueeze(1).contiguous()


class Sampler:
    """Balanced random windows: half real, half fake.  A share `same_source` of the pairs takes
    both from one source, so that its sound says nothing; the others are drawn by the square root
    of the generator's (fake) and of the source's (both) number of clips."""

    def __init__(self, rows, clean, degraded, copies, seed, clean_share=0.2,
                 same_source=0.6):
        self.rows, self.clean, self.degraded = rows, clean, degraded
        self.copies, self.clean_share, self.same_source = copies, clean_share, same_source
        self.rng = np.random.default_rng(seed)
        self.tags = sorted({r["generator"] for r in rows if r["label"] == "fake"})
        self.tag_of = {t: i for i, t in enumerate(self.tags)}
        fakes = [r["source_repo"] for r in rows if r["label"] == "fake"]
        self.groups, self.both = [], []
        for label in ("real", "fake"):
            ids = [i for i, r in enumerate(rows) if r["label"] == label]
            n_source, n_tag = {}, {}
            for i in ids:
                n_source[rows[i]["source_repo"]] = n_source.get(rows[i]["source_repo"], 0) + 1
                n_tag[rows[i]["generator"]] = n_tag.get(rows[i]["generator"], 0) + 1
            weight = []
            for i in ids:
                source, tag = rows[i]["source_repo"], rows[i]["generator"]
                if label == "fake":
                    weight.append(n_tag[tag] ** -0.5 * n_source[source] ** -0.25)
                else:  # sources with both classes cannot be told apart by their sound alone
                    weight.append(n_source[source] ** -0.5 * (1.5 if source in fakes else 1.0))
            weight = np.array(weight)
            self.groups.append((np.array(ids), weight / weight.sum()))

        names = sorted({r["source_repo"] for r in rows})
        for name in names:
            members = [(ids[mine], weight[mine] / weight[mine].sum()) for ids, weight in self.groups
                       for mine in [[rows[i]["source_repo"] == name for i in ids]] if any(mine)]
            if len(members) == 2:
                self.both.append((min(len(m[0]) for m in members) ** 0.5, members))

    def one(self, label, groups):
        ids, weight = groups[label]
        for _ in range(50):
            row = self.rows[int(self.rng.choice(ids, p=weight))]
            path, store = row["path"], self.clean
            if self.copies and self.rng.random() >= self.clean_share:
                variants = self.copies[path]
                path, store = variants[self.rng.integers(len(variants))], self.degraded
            start = store.random_start(path, self.rng)
            if start is not None:
                return store.window(path, start), self.tag_of.get(row["generator"], -1)
        raise RuntimeError("no training window with speech")

    def batch(self, size):
        """dB [size, 200, 128], labels [size] (0 bona fide, 1 spoof), generator tags (-1 real)."""
        labels = np.arange(size) % 2
        chance = np.array([b[0] for b in self.both])
        chance = chance / chance.sum()
        pairs = []
        for _ in range(size // 2):
            groups = self.groups
            if self.rng.random() < self.same_source:
                groups = self.both[int(self.rng.choice(len(self.both), p=chance))][1]
            pairs += [self.one(0, groups), self.one(1, groups)]
        return (torch.from_numpy(np.stack([p[0] for p in pairs])), torch.from_numpy(labels),
                torch.tensor([p[1] for p in pairs]))


def warp(db, factor):
    """Stretches the frequencies of dB [N, T, BANDS] by `factor` [N, 1, 1], the bands between two
    interpolated: on bands of one width, the length of the vocal tract (VTLP, Jaitly and Hinton
    2013); a detector must not learn a fault's exact place."""
    at = (torch.arange(BANDS).view(1, 1, -1) * factor).clamp(0, BANDS - 1.001)
    low = at.floor().long()
    share = at - low
    below = torch.gather(db, 2, low.expand_as(db))
    above = torch.gather(db, 2, (low + 1).expand_as(db))
    return below * (1 - share) + above * share


def mixed(db, noise, snr):
    """Speech and noise, both dB [N, T, BANDS], at `snr` dB [N, 1, 1]: powers add, phases are taken
    to be unrelated."""
    def power(x):  # mean power of the window, dB
        return torch.logsumexp(x.flatten(1) * LOG_DB, 1).view(-1, 1, 1) / LOG_DB

    noise = noise + (power(db) - power(noise) - snr)
    return torch.logaddexp(db * LOG_DB, noise * LOG_DB) / LOG_DB


def degrade_features(db, bank, noise, g, strength=1.0, noisy=0.0):
    """Cheap degradations of dB [N, 200, 128] of a bank on the fly; noise: windows to mix in; g:
    torch.Generator; strength 0..1 scales how often they happen, `noisy` is the share with noise."""
    n = db.shape[0]

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=g)

    def chance(p):
        return (torch.rand(n, 1, 1, generator=g) < p * strength).float()

    loud = (torch.rand(n, 1, 1, generator=g) < noisy).float()
    db = mixed(db, noise, uniform(3, 30, n, 1, 1)) * loud + db * (1 - loud)
    knots = torch.randn(n, 1, 7, generator=g) * uniform(0, 4, n, 1, 1)  # equaliser, dB
    curve = torch.nn.functional.interpolate(knots, BANDS, mode="linear", align_corners=True)
    db = db + curve * chance(0.5)
    if bank == "linear":  # another speaker's formants; on mel bands it did harm
        db = warp(db, 1 + uniform(-0.08, 0.08, n, 1, 1) * chance(1.5))
    band = torch.arange(BANDS).view(1, 1, -1)
    above = (band - uniform(LOWEST_CUT[bank], BANDS, n, 1, 1)).clamp(0, 4) / 4  # low-pass above 3.4..8 kHz
    db = db - above * uniform(20, 80, n, 1, 1) * chance(0.3)
    peak = db.amax((1, 2), keepdim=True)
    floor = peak - uniform(35, 100, n, 1, 1) + (band - 64) / 64 * uniform(-15, 10, n, 1, 1)
    floor = floor + torch.randn(db.shape, generator=g) * 3.5
    floored = torch.logaddexp(db * LOG_DB, floor * LOG_DB) / LOG_DB
    use = chance(0.5)
    return floored * use + db * (1 - use)


def mask(x, g, bands=16, frames=30, times=2):
    """SpecAugment (arXiv:1904.08779) on images [N, 1, 128, 200]: masked stretches become 0."""
    n = x.shape[0]
    for axis, widest in ((2, bands), (3, frames)):
        size = x.shape[axis]
        at = torch.arange(size).view(1, -1)
        for _ in range(times):
            width = torch.rand(n, 1, generator=g) * widest
            start = torch.rand(n, 1, generator=g) * (size - width)
            keep = ((at < start) | (at >= start + width)).float()
            x = x * (keep.view(n, 1, size, 1) if axis == 2 else keep.view(n, 1, 1, size))
    return x


def evaluation_windows(features, rows):
    """The evaluation windows with enough speech to be judged: dB [N, 200, 128], row number of each
    window [N], seconds of speech in it [N]."""
    db, owner, speech = [], [], []
    for number, row in enumerate(rows):
        first, _ = features.index[row["path"]]
        for start in features.eval_starts(row["path"]):
            if features.speech[first + start] >= MIN_SPEECH:
                db.append(features.window(row["path"], start))
                owner.append(number)
                speech.append(features.speech[first + start])
    return torch.from_numpy(np.stack(db)), np.array(owner), np.array(speech)
