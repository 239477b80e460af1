"""Which front end generalises?  A quick answer without a network.

    python front_ends.py --corpus ../shared/corpus

For each filter bank: cepstra (1..40) of the clean clips' loud frames; a support-vector machine on
their statistics, either with the mean spectrum (mean and deviation of cepstra, deviation of their
slopes) or without it (deviations only: blind to microphone and equaliser); then the latter of bands of one
width with means and deviations of comodulation (src/dsp/comodulation.rs) and deviations of its slopes beside it,
with the modulations of cepstra too, and then with novelty and the shape of the residual.  EER and AUC per
file, mean over five folds that share no source.
A minute of one core per row.
"""

import argparse
import csv
from pathlib import Path

import librosa
import numpy as np
import soundfile as sf
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct
from scipy.linalg import solve, toeplitz
from scipy.signal import get_window, stft
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

import metrics

RATE, HOP, BANDS, FOLDS = 16000, 160, 128, 5
BANKS = [("mel", 1024, 1024), ("mel", 512, 400), ("linear", 2048, 2048), ("linear", 1024, 1024),
         ("linear", 512, 400), ("linear", 512, 256)]
COMODULATION = [(64, 16, 15, 8, 2), (64, 16, 25, 8, 0), (64, 16, 25, 8, 1), (64, 16, 25, 8, 2),
                (64, 16, 28, 16, 1)]  # FFT of a part, step between parts, parts, bands, lags
SHIPPED, RESIDUAL = COMODULATION[3], (400, 16)  # window of linear prediction and its order
RATES = ((1, 2), (2, 4), (4, 7), (7, 11), (11, 16), (16, 21))  # of modulations, in 2.5 Hz


def bank(scale, n_fft):
    """[BANDS, n_fft / 2 + 1]: Slaney's mel filters, or triangles of one width up to 8 kHz."""
    if scale == "mel":
        return librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=BANDS)
    edges = np.linspace(0, RATE / 2, BANDS + 2)
    hz = np.fft.rfftfreq(n_fft, 1 / RATE)
    rise = (hz - edges[:-2, None]) / (edges[1] - edges[0])
    return np.clip(np.minimum(rise, 2 - rise), 0, None).astype(np.float32)


def levels(y, filters, n_fft, win):
    """dB [frames, BANDS]."""
    power = np.abs(librosa.stft(y, n_fft=n_fft, win_length=win, hop_length=HOP)) ** 2
    return 10 * np.log10(np.maximum(filters @ power, 1e-10)).T


def cepstra_of(db):
    return dct(np.maximum(db - db.max(), -80), axis=1, norm="ortho")[:, 1:41]


def statistics(y, filters, n_fft, win):
    """[240]: 40 means of cepstra, 40 deviations, 40 of their slopes; and the deviations again with
    40 of the slopes' slopes."""
    db = levels(y, filters, n_fft, win)
    cepstra = cepstra_of(db[is_loud(db.max(1))])
    slope = np.gradient(cepstra, axis=0)
    deviations = [cepstra.std(0), slope.std(0)]
    return np.concatenate([cepstra.mean(0), *deviations, *deviations, np.gradient(slope, axis=0).std(0)])


def is_loud(level):
    return level > level.max() - 40


def modulations(y, filters, n_fft, win):
    """[240]: ln of the power of 40 cepstra's modulations in six ranges of rates, from pieces of 0.4 s."""
    cepstra = cepstra_of(levels(y, filters, n_fft, win))
    cepstra = np.concatenate([cepstra] * -(-40 // len(cepstra)))
    _, _, lines = stft(cepstra, nperseg=40, noverlap=20, axis=0, boundary=None, padded=False)
    power = (np.abs(lines) ** 2).mean(2)
    return np.concatenate([np.log(power[low:high].mean(0) + 1e-3) for low, high in RATES])


def comodulation(y, n_fft, hop, parts, bands, lags, novelty=False, amin=1e-10):
    """As src/dsp/comodulation.rs has it, [frames, values]: 40 (r - 1) of the correlations r of envelopes in short
    spectra around the centre of a frame each HOP samples: of bands, one of two up to `lags` parts late, and of each
    bin with the mean of all.  Then each bin's novelty, as src/dsp/novelty.rs has it: 80 (e - 1) of how far (e) the
    spectra lie from what the two before each foretell."""
    ahead = parts * hop
    padded = np.pad(y, (ahead, ahead + n_fft)).astype(float)
    spectra = librosa.stft(padded, n_fft=n_fft, hop_length=hop, pad_mode="constant")[1:].T
    first = (np.arange(0, len(y), HOP) + ahead - (parts - 1) * hop // 2) // hop
    spectra = spectra[first[:, None] + np.arange(parts)]
    magnitude = np.abs(spectra)
    mean = magnitude.mean(1, keepdims=True)
    floor = 1e-3 * mean.max(2, keepdims=True) + amin ** 0.5
    bins = (magnitude - mean) / (mean + floor)
    envelopes = bins.reshape(len(bins), parts, bands, -1).mean(3)
    common = envelopes.mean(2, keepdims=True)

    def spread(x):
        return np.sqrt((x ** 2).sum(1) + 1e-4 * parts)

    found, of_bands = [], spread(envelopes)
    for lag in range(lags + 1):
        products = np.einsum("nta,ntb->nab", envelopes[:, lag:], envelopes[:, :parts - lag])
        r = products / (of_bands[:, :, None] * of_bands[:, None])
        found.append(r.reshape(len(r), -1) if lag else r[(slice(None), *np.triu_indices(bands, 1))])
    found.append((bins * common).sum(1) / (spread(bins) * spread(common)))
    values = 40 * (np.concatenate(found, 1) - 1)
    if not novelty:
        return values
    phase = np.divide(spectra, magnitude, out=np.zeros_like(spectra), where=magnitude > 0)
    foretold = spectra[:, 1:-1] * phase[:, 1:-1] * phase[:, :-2].conj()
    sizes = (magnitude[:, 2:] + np.abs(foretold) + floor).sum(1)
    return np.concatenate([values, 80 * (np.abs(spectra[:, 2:] - foretold).sum(1) / sizes - 1)], 1)


def residual(y, win_length, order):
    """As src/dsp/residual.rs has it, [frames, 3]: minus kurtosis, minus crest factor and temporal flatness, in dB, of
    what linear prediction leaves of a window each HOP samples."""
    padded = np.pad(y, win_length // 2).astype(float)
    frames = sliding_window_view(padded, win_length)[:len(y):HOP] * get_window("hann", win_length)
    correlation = np.stack([(frames[:, :win_length - lag] * frames[:, lag:]).sum(1) for lag in range(order + 1)], 1)
    power = np.zeros((len(frames), win_length + order))
    for out, frame, r in zip(power, frames, correlation):
        white = 1e-4 * r[0] * np.eye(order)
        a = solve(toeplitz(r[:-1]) + white, -r[1:], assume_a="pos") if r[0] > 0 else np.zeros(order)
        out[:] = np.convolve(frame, [1, *a]) ** 2
    power /= np.maximum(power.mean(1, keepdims=True), np.finfo(float).tiny)
    kurtosis, peak = (np.log10(np.maximum(x, 1)) for x in ((power ** 2).mean(1), power.max(1)))
    return 10 * np.stack([-kurtosis, -peak, np.log10(power + 1e-8).mean(1)], 1)


def compared(y, sizes):
    """As `moments`, of each value of comodulation."""
    return moments(y, comodulation(y, *sizes))


def new_ones(y, sizes, of_residual):
    """As `moments`, of each bin's novelty and of the residual's shape."""
    bins = sizes[0] // 2
    return moments(y, np.concatenate([comodulation(y, *sizes, novelty=True)[:, -bins:], residual(y, *of_residual)], 1))


def moments(y, values):
    """Of values [frames, values], in the loud frames: mean and deviation of each and deviation of its slopes."""
    level = np.abs(librosa.stft(y, n_fft=512, hop_length=HOP)).max(0)[:len(values)]
    values = values[is_loud(20 * np.log10(level + 1e-10))]
    return np.concatenate([values.mean(0), values.std(0), np.gradient(values, axis=0).std(0)])


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

    def with_each(of, *arguments):
        return np.stack([of(y, *arguments) for y in tqdm(clips, desc=of.__name__, leave=False)])

    moving = with_each(modulations, bank("linear", 512), 512, 400)
    judge("linear window 400 without, and modulations", np.concatenate([beside, moving], 1))
    for sizes in COMODULATION:
        x = np.concatenate([beside, with_each(compared, sizes)], 1)
        judge(f"the same without, and comodulation {sizes}", x)
        judge("  and modulations", np.concatenate([x, moving], 1))
        if sizes == SHIPPED:
            more = with_each(new_ones, sizes, RESIDUAL)
            judge("  and novelty and residual", np.concatenate([x, moving, more], 1))


if __name__ == "__main__":
    main()
