"""Which front end generalises?  A quick answer without a network.

    python front_ends.py --corpus ../shared/corpus

For each filter bank: cepstra (1..40) of the clean clips' loud frames; a support-vector machine on
their statistics, either with the mean spectrum (mean and deviation of cepstra, deviation of their
slopes) or without it (deviations only: blind to microphone and equaliser); then the latter of bands of one
width with the deviations of flatness (src/dsp/flatness.rs) and of its slopes beside it, and of
comodulation (src/dsp/comodulation.rs) too.  EER and AUC per file, mean over five folds that share no source.
A minute of one core per row.
"""

import argparse
import csv
from pathlib import Path

import librosa
import numpy as np
import soundfile as sf
from scipy.fft import dct
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

import metrics

RATE, HOP, BANDS, FOLDS = 16000, 160, 128, 5
BANKS = [("mel", 1024, 1024), ("mel", 512, 400), ("linear", 2048, 2048), ("linear", 1024, 1024),
         ("linear", 512, 400), ("linear", 512, 256)]
FLATNESS = [(64, 16, 10), (128, 32, 5), (256, 32, 5)]  # FFT of a part, step between parts, parts
COMODULATION = [(64, 16, 9), (64, 16, 15), (64, 16, 25), (128, 32, 9)]


def bank(scale, n_fft):
    """[BANDS, n_fft / 2 + 1]: Slaney's mel filters, or triangles of one width up to 8 kHz."""
    if scale == "mel":
        return librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=BANDS)
    edges = np.linspace(0, RATE / 2, BANDS + 2)
    hz = np.fft.rfftfreq(n_fft, 1 / RATE)
    rise = (hz - edges[:-2, None]) / (edges[1] - edges[0])
    return np.clip(np.minimum(rise, 2 - rise), 0, None).astype(np.float32)


def statistics(y, filters, n_fft, win):
    """[240]: 40 means of cepstra, 40 deviations, 40 of their slopes; and the deviations again with
    40 of the slopes' slopes."""
    power = np.abs(librosa.stft(y, n_fft=n_fft, win_length=win, hop_length=HOP)) ** 2
    db = 10 * np.log10(np.maximum(filters @ power, 1e-10)).T
    loud = db.max(1)
    db = db[loud > loud.max() - 40]
    cepstra = dct(np.maximum(db - db.max(), -80), axis=1, norm="ortho")[:, 1:41]
    slope = np.gradient(cepstra, axis=0)
    deviations = [cepstra.std(0), slope.std(0)]
    return np.concatenate([cepstra.mean(0), *deviations, *deviations, np.gradient(slope, axis=0).std(0)])


def short_spectra(y, n_fft, hop, parts):
    """(powers of each bin but 0 Hz [frames, parts, n_fft / 2], mean of the loudest [frames]) of `parts` short
    spectra around the centre of a frame each HOP samples, 60 dB below the loudest mean added to each."""
    ahead = parts * hop
    padded = np.pad(y, (ahead, ahead + n_fft))
    power = np.abs(librosa.stft(padded, n_fft=n_fft, hop_length=hop, pad_mode="constant")[1:]).T.astype(float) ** 2
    first = (np.arange(0, len(y), HOP) + ahead - (parts - 1) * hop // 2) // hop
    power = power[first[:, None] + np.arange(parts)]
    loudest = power.mean(1).max(1)
    return power + 1e-6 * loudest[:, None, None] + 1e-10, loudest


def flatness(power):
    """Of short_spectra's powers, as src/dsp/flatness.rs has it: their geometric over their arithmetic mean,
    in dB [frames, bins]."""
    return 10 * (np.log10(power).mean(1) - np.log10(power.mean(1)))


def comodulation(power):
    """Of short_spectra's powers, as src/dsp/comodulation.rs has it: 40 (r - 1) [frames, bins], r the correlation of
    each bin's magnitudes, in units of their mean, with the mean of all bins; a variance of 1e-4 is none."""
    own = np.sqrt(power)
    own = own / own.mean(1, keepdims=True) - 1
    common = own.mean(2, keepdims=True)
    spread = ((own ** 2).mean(1) + 1e-4) * ((common ** 2).mean(1) + 1e-4)
    return 40 * ((own * common).mean(1) / np.sqrt(spread) - 1)


def compared(y, of, sizes):
    """[2 * bins]: deviations over the loud frames of each bin's value `of` short spectra, and of its slopes."""
    power, loudest = short_spectra(y, *sizes)
    values = of(power)
    level = 10 * np.log10(loudest + 1e-10)
    values = values[level > level.max() - 40]
    return np.concatenate([values.std(0), np.gradient(values, axis=0).std(0)])


def folds(rows):
    """Fold of each clip, 0..FOLDS-1; a source is in one of them."""
    sources = np.array([r["source_repo"] for r in rows])
    names, counts = np.unique(sources, return_counts=True)
    size, chosen = np.zeros(FOLDS), {}
    for i in np.argsort(-counts, kind="stable"):
        chosen[names[i]] = int(size.argmin())
        size[chosen[names[i]]] += counts[i]
    return np.array([chosen[s] for s in sources])


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    args = p.parse_args()
    with open(args.corpus / "manifest.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    labels = np.array([r["label"] == "fake" for r in rows]).astype(int)
    fold = folds(rows)
    clips = [sf.read(args.corpus / r["path"], dtype="float32")[0] for r in tqdm(rows, desc="clips")]

    def judge(name, x):
        results = []
        for k in range(FOLDS):
            svm = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
            svm.fit(x[fold != k], labels[fold != k])
            score = svm.decision_function(x[fold == k])
            results.append((100 * metrics.eer(score, labels[fold == k])[0],
                            metrics.auc(score, labels[fold == k])))
        eer, auc = np.mean(results, 0)
        print(f"{name:46} EER {eer:.1f} %  AUC {auc:.3f}", flush=True)

    for scale, n_fft, win in BANKS:
        filters = bank(scale, n_fft)
        x = np.stack([statistics(y, filters, n_fft, win)
                      for y in tqdm(clips, desc=f"{scale} {win}", leave=False)])
        judge(f"{scale:7} n_fft {n_fft:5} window {win:5} with mean", x[:, :120])
        judge(f"{scale:7} n_fft {n_fft:5} window {win:5} without", x[:, 120:])
        if (scale, n_fft, win) == ("linear", 512, 400):
            beside = x[:, 120:]

    def judge_with(beside, of, choices):
        """Statistics by the sizes of the short spectra, those in `beside` first."""
        found = {}
        for sizes in choices:
            x = np.stack([compared(y, of, sizes) for y in tqdm(clips, desc=str(sizes), leave=False)])
            found[sizes] = np.concatenate([beside, x], 1)
            judge(f"linear window 400 without, {of.__name__} {sizes}", found[sizes])
        return found

    with_flatness = judge_with(beside, flatness, FLATNESS)
    judge_with(with_flatness[128, 32, 5], comodulation, COMODULATION)


if __name__ == "__main__":
    main()
