"""Features on disk -> training batches and evaluation windows.

A feature folder is written by `bonafide features LIST.csv --root DIR -o FOLDER` (the Rust front
end, the same code that runs in the plugin) and holds
  frames.npy  float16 [total frames, 479], dB, a row per 10 ms: levels of 128 mel bands of a long window
              and of 128 bands of one width of a short one, lowest first, then comodulation: how much the
              envelopes of two come and go together (PAIRS; 0 is entirely, -40 not at all), novelty: how far each of BINS
              lies from what was foretold (0 is entirely, -80 not at all), and the shape of the residual of linear
              prediction: how peaked it is (0 not at all, the lower the more);
  speech.npy  float16 [total frames]: seconds of speech in the 2-s window that starts there;
  index.csv   path, first_frame, frames.
A network looks at one or several of these.  A window is 200 frames; a shorter clip is repeated.  The image
that a network sees is x = clip(dB - max dB of the window in that bank, -80, 0) / 80 + 1, then
(x - MEAN) / STD, as [1, rows, 200]; the maximum of all that is no level is 0.
"""

import csv
from pathlib import Path

import numpy as np
import torch

BANDS = 128  # of a bank
COMODULATED, LAGS = 8, 2  # bands of the comodulation; how late one of them may be
BINS = 32  # whose comodulation with all others follows
_BANDS, _BINS, _ALL = np.arange(COMODULATED), COMODULATED + np.arange(BINS), COMODULATED + BINS
# The two whose envelopes each value of the comodulation compares: bands, bins (behind the bands), all (last).
PAIRS = np.concatenate([np.triu_indices(COMODULATED, 1)]
                       + LAGS * [[np.repeat(_BANDS, COMODULATED), np.tile(_BANDS, COMODULATED)]]
                       + [[_BINS, np.full(BINS, _ALL)]], 1)
COMPARED, SHAPE = PAIRS.shape[1], 3
MEASURES = COMPARED + BINS + SHAPE  # comodulation, novelty, shape of the residual
WINDOW, HOP = 200, 50  # frames a window, frames between evaluation windows
BANKS = {"mel": slice(0, BANDS), "linear": slice(BANDS, 2 * BANDS), "both": slice(0, 2 * BANDS),
         "fine": slice(BANDS, 2 * BANDS + MEASURES)}  # fine: bands of one width and all that is no level
MIN_SPEECH = 0.5  # seconds of speech that a training window needs
LOG_DB = 0.2302585  # natural logarithm of a power ratio, per dB
SNR = (0, 30)  # dB, of what is mixed in
MEAN, STD = 0.35, 0.22  # of the images of the clean training clips; fixed, in the manifest too
# The middle of each band: slaney's mel scale (librosa.mel_frequencies) and equal widths, 0 to 8 kHz.
_MEL = np.linspace(0, 15 + np.log(8.0) / (np.log(6.4) / 27), BANDS + 2)[1:-1]
_MEL_HZ = np.where(_MEL < 15, _MEL * 200 / 3, 1000 * np.exp((_MEL - 15) * np.log(6.4) / 27))
_LINEAR_HZ = np.linspace(0, 8000, BANDS + 2)[1:-1]
HZ = {bank: torch.tensor(hz, dtype=torch.float32)
      for bank, hz in (("mel", _MEL_HZ), ("linear", _LINEAR_HZ), ("fine", _LINEAR_HZ),
                       ("both", np.concatenate([_MEL_HZ, _LINEAR_HZ])))}
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


def read_manifest(work):
    """The rows of WORK/manifest.csv: the corpus and the voices of voices.py."""
    with open(Path(work) / "manifest.csv", newline="") as f:
        return list(csv.DictReader(f))


def without_folds(rows):
    """The rows that know nothing of the harder folds: neither their sources nor their generators, which others have too."""
    held = {source for fold in HARD_FOLDS.values() for source in fold}
    generators = {r["generator"] for r in rows if r["source_repo"] in held and r["label"] == "fake"}
    return [r for r in rows if r["source_repo"] not in held and r["generator"] not in generators]


class Features:
    """One bank of a feature folder, by name or by its columns; `at_random`: in memory (of 8 copies about 2 GB for 128
    bands, 5 for all that is fine), for windows drawn at random, or else on disk."""

    def __init__(self, folder, bank, at_random=True):
        folder = Path(folder)
        frames = np.load(folder / "frames.npy", mmap_mode="r")[:, BANKS[bank] if isinstance(bank, str) else bank]
        self.frames = np.array(frames) if at_random else frames
        self.speech = np.load(folder / "speech.npy").astype(np.float32)
        with open(folder / "index.csv", newline="") as f:
            self.index = {r["path"]: (int(r["first_frame"]), int(r["frames"]))
                          for r in csv.DictReader(f)}

    def window(self, path, start):
        """float32 [200, rows] in dB from frame `start` of the clip."""
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
        """Windows from anywhere: dB [count, 200, rows] (torch)."""
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
    """dB [N, 200, rows] -> normalised images [N, 1, rows, 200] (torch float32)."""
    levels, measures = parts(db)
    levels = each_bank(lambda db: db - db.amax((1, 2), keepdim=True), levels)
    x = torch.cat([levels, measures], 2).clamp(-80, 0) / 80 + 1
    return ((x - MEAN) / STD).transpose(1, 2).unsqueeze(1).contiguous()


def origin(row):
    """Where a clip's sound comes from: a fake's generator, a bona fide clip's source."""
    return row["generator"] if row["label"] == "fake" else "bona fide of " + row["source_repo"]


def fault(path):
    """What resynthesise.py or augment.py (SINGLE) did to a copy, by its path; of the former's, the copy's generator."""
    return path.split("/")[0]


class Sampler:
    """Balanced random windows: half real, half fake.  A share `same_source` of the pairs takes
    both from one source, so that its sound says nothing; the others are drawn by the square root
    of the generator's (fake) and of the source's (both) number of clips."""

    def __init__(self, rows, clean, degraded, copies, seed, clean_share=0.2, same_source=0.6):
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
        """dB [size, 200, rows], labels [size] (0 bona fide, 1 spoof), generator tags (-1 real)."""
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


def parts(db):
    """Levels [N, T, BANDS a bank] and all else [N, T, MEASURES or none] of dB [N, T, rows]."""
    measures = MEASURES if db.shape[2] % BANDS else 0
    return db.split([db.shape[2] - measures, measures], 2)


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


def each_bank(function, *arrays):
    """`function` of the banks of arrays [N, T, BANDS a bank], one after the other."""
    return torch.cat([function(*parts) for parts in zip(*(x.split(BANDS, 2) for x in arrays))], 2)


def mixed(db, noise, snr):
    """Speech and noise, both dB [N, T, rows], at `snr` dB [N, 1, 1]: powers add, phases are taken to be
    unrelated; in comodulation, each envelope weighs as much as its power in those bands of one width, as novelty
    and shape do."""
    def power(x):  # mean power of the window, dB
        return torch.logsumexp(x.flatten(1) * LOG_DB, 1).view(-1, 1, 1) / LOG_DB

    def one(db, noise):
        noise = noise + (power(db) - power(noise) - snr)
        return torch.logaddexp(db * LOG_DB, noise * LOG_DB) / LOG_DB

    def of_bands(levels):  # those of one width, in bins, in bands of bins and all in one: ln of their power
        bins = (levels[..., -BANDS:] * LOG_DB).unflatten(2, (BINS, -1)).logsumexp(3)
        bands = bins.unflatten(2, (COMODULATED, -1)).logsumexp(3)
        return torch.cat([bands, bins, bins.logsumexp(2, keepdim=True)], 2)

    (speech, measures), (noise, other) = parts(db), parts(noise)
    both = each_bank(one, speech, noise)
    if measures.shape[2]:
        share = (of_bands(speech) - of_bands(both)).exp()
        rest, (a, b) = 1 - share, PAIRS
        size = (share.square() + rest.square()).sqrt()
        r, of_noise = (x[..., :COMPARED] / 40 + 1 for x in (measures, other))
        r = share[..., a] * share[..., b] * r + rest[..., a] * rest[..., b] * of_noise
        compared = 40 * (r / (size[..., a] * size[..., b]) - 1)
        weight = share[..., [*_BINS, *SHAPE * [_ALL]]]
        alone, other = measures[..., COMPARED:], other[..., COMPARED:]
        measures = torch.cat([compared, weight * alone + (1 - weight) * other], 2)
    return torch.cat([both, measures], 2)


def degrade_features(db, bank, noise, g, strength=1.0, noisy=0.0):
    """Cheap degradations of windows [N, 200, rows] on the fly, the same in each bank, all but noise of their levels
    alone; noise: windows to mix in; g: torch.Generator; strength 0..1 scales how often they happen, `noisy` is the
    share with noise."""
    n, hz, db = db.shape[0], HZ[bank], db.clone()

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=g)

    def chosen(p):
        """Numbers of the windows that something happens to."""
        return torch.nonzero(torch.rand(n, generator=g) < p).flatten()

    some = chosen(noisy)
    db[some] = mixed(db[some], noise[some], uniform(*SNR, len(some), 1, 1))
    levels, _ = parts(db)  # a view: what follows changes db
    some = chosen(0.5 * strength)
    knots = torch.randn(len(some), 7, generator=g) * uniform(0, 4, len(some), 1)  # equaliser, dB, a knot an octave
    octave = (torch.log2(hz.clamp(min=62.5) / 62.5) * 6 / 7).clamp(0, 5.999)
    low, share = octave.long(), octave - octave.long()
    levels[some] += (knots[:, low] * (1 - share) + knots[:, low + 1] * share).unsqueeze(1)
    if bank != "mel":  # another speaker's formants; on mel bands it did harm
        some = chosen(1.5 * strength)
        stretch = 1 + uniform(-0.08, 0.08, len(some), 1, 1)
        levels[some, :, -BANDS:] = warp(levels[some, :, -BANDS:], stretch)
    some = chosen(0.3 * strength)
    above = ((hz - uniform(3400, 8000, len(some), 1, 1)) / 200).clamp(0, 1)  # low-pass
    levels[some] -= above * uniform(20, 80, len(some), 1, 1)
    some = chosen(0.5 * strength)
    depth, slope = uniform(35, 100, len(some), 1, 1), uniform(-15, 10, len(some), 1, 1)

    def floored(db):
        floor = db.amax((1, 2), keepdim=True) - depth + slope * torch.linspace(-1, 1, BANDS)
        floor = floor + torch.randn(db.shape, generator=g) * 3.5
        return torch.logaddexp(db * LOG_DB, floor * LOG_DB) / LOG_DB

    levels[some] = each_bank(floored, levels[some])
    return db


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
    """The evaluation windows with enough speech to be judged: dB [N, 200, rows], row number of each
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
