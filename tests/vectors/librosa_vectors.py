"""Reference vectors of the log-mel front end, by librosa 0.11.

    pip install librosa==0.11.0 numpy && python librosa_vectors.py

Writes librosa.npz beside this file: for each signal `<name>/y` (float32, 1 s at 16 kHz) and for
each front end `<name>/<front end>` (float32 dB, frames x mels), computed in float64, and
`<name>/comodulation`, `<name>/novelty` and `<name>/residual` (float32, frames x values). librosa's
float32 path differs by less than 1e-5 dB (this script prints by how much), since numpy's FFT
computes in double all the same.
"""

from pathlib import Path

import librosa
import numpy as np
import scipy.fft
import scipy.linalg
import scipy.signal

RATE = 16_000
FRONT_ENDS = {
    "published_224": dict(n_fft=2048, hop_length=512, n_mels=224),
    "published_128": dict(n_fft=2048, hop_length=512, n_mels=128),
    "default": dict(n_fft=1024, hop_length=160, n_mels=128),
    "short_htk": dict(n_fft=512, hop_length=128, win_length=400, n_mels=40, fmin=60.0, fmax=7600.0, htk=True, norm=None),
    "uncentred": dict(n_fft=1024, hop_length=160, n_mels=128, center=False),
    "linear": dict(n_fft=512, hop_length=160, win_length=400, n_mels=128),
}


def signals():
    t = np.arange(RATE) / RATE
    rng = np.random.default_rng(7)
    yield "sines", 0.5 * np.sin(2 * np.pi * 440 * t) + 0.01 * np.sin(2 * np.pi * 5_000 * t)
    yield "sweep", 0.8 * np.sin(2 * np.pi * (50 * t + (7_900 - 50) / 2 * t**2))
    yield "noise", 0.1 * rng.standard_normal(RATE)
    # Pulses of 110 to 180 Hz through three formants, with pauses.
    pulses = np.diff(np.floor(np.cumsum((110 + 70 * t) / RATE)), prepend=0.0)
    speech = pulses + 0.002 * rng.standard_normal(RATE)
    for hz, width in ((700, 90), (1_200, 110), (2_600, 160)):
        r = np.exp(-np.pi * width / RATE)
        a1, a2 = 2 * r * np.cos(2 * np.pi * hz / RATE), -r * r
        out = np.zeros(RATE + 2)
        for i in range(RATE):
            out[i + 2] = speech[i] + a1 * out[i + 1] + a2 * out[i]
        speech = out[2:] * (1 - r)
    speech *= np.clip(np.sin(2 * np.pi * 3 * t), 0, None)
    yield "speech_like", 0.5 * speech / np.abs(speech).max()


def linear_frequencies(n_mels, *, fmin, fmax, htk):
    """librosa has no linear bank: its own, with edges equidistant in Hz."""
    return np.linspace(fmin, fmax, n_mels)


def log_mel(y, options):
    mel = librosa.feature.melspectrogram(y=y, sr=RATE, pad_mode="constant", dtype=np.float64, **options)
    return librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=None).T


def short_spectra(y, n_fft=64, hop=16, parts=25):
    """Frames x parts x bins but 0 Hz: spectra around every 160th sample."""
    ahead = parts * hop
    spectra = librosa.stft(np.pad(y, ahead), n_fft=n_fft, hop_length=hop, pad_mode="constant")
    around = (np.arange(0, RATE, 160) + ahead)[:, None] // hop + np.arange(parts) - parts // 2
    return spectra[1:].T[around]


def comodulation(spectra, bands=8, lags=2, amin=1e-10):
    """Frames x values, 40 (r - 1): correlations r of the envelopes of bands in short spectra around every 160th
    sample, one of two up to `lags` of them late, and of each bin's envelope with the mean of all."""
    magnitude = np.abs(spectra).astype(np.float64)
    parts = magnitude.shape[1]
    mean = magnitude.mean(1, keepdims=True)
    envelope = (magnitude - mean) / (mean + 1e-3 * mean.max(2, keepdims=True) + amin**0.5)
    of_bins, envelope = envelope, envelope.reshape(len(envelope), parts, bands, -1).mean(3)
    spread = np.sqrt((envelope**2).sum(1) + 1e-4 * parts)
    common = envelope.mean(2)
    found = []
    for lag in range(lags + 1):
        late, early = envelope[:, lag:], envelope[:, : parts - lag]
        for a in range(bands):
            for b in range(0 if lag else a + 1, bands):
                found.append((late[:, :, a] * early[:, :, b]).sum(1) / (spread[:, a] * spread[:, b]))
    of_common = np.sqrt((common**2).sum(1) + 1e-4 * parts)[:, None]
    bins = (of_bins * common[:, :, None]).sum(1) / (np.sqrt((of_bins**2).sum(1) + 1e-4 * parts) * of_common)
    return 40 * (np.concatenate([np.array(found).T, bins], 1) - 1)


def novelty(spectra, amin=1e-10):
    """Frames x bins, 80 (e - 1): how far (e) short spectra lie from what the two before foretell, of both magnitudes."""
    magnitude = np.abs(spectra)
    phase = np.divide(spectra, magnitude, out=np.zeros_like(spectra), where=magnitude > 0)  # silence foretells silence
    foretold = spectra[:, 1:-1] * phase[:, 1:-1] * phase[:, :-2].conj()
    errors = np.abs(spectra[:, 2:] - foretold).sum(1)
    floor = 1e-3 * magnitude.mean(1).max(1, keepdims=True) + amin**0.5
    sizes = (magnitude[:, 2:] + np.abs(foretold)).sum(1) + floor * (magnitude.shape[1] - 2)
    return 80 * (errors / sizes - 1)


def residual(y, win_length=400, order=16):
    """Frames x 3: minus kurtosis, minus crest factor and temporal flatness of the residual of linear prediction,
    in dB, of windows around every 160th sample."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(y, win_length // 2), win_length)[:RATE:160]
    frames = frames * scipy.signal.get_window("hann", win_length)
    found = []
    for frame in frames:
        r = np.correlate(frame, frame, "full")[win_length - 1:][:order + 1]
        a = np.zeros(order)
        if r[0] > 0:
            a = scipy.linalg.solve(scipy.linalg.toeplitz(r[:-1]) + 1e-4 * r[0] * np.eye(order), -r[1:], assume_a="pos")
        power = np.convolve(frame, [1, *a]) ** 2
        power /= max(power.mean(), np.finfo(float).tiny)
        kurtosis, peak = np.maximum([(power**2).mean(), power.max()], 1)
        found.append([-np.log10(kurtosis), -np.log10(peak), np.log10(power + 1e-8).mean()])
    return 10 * np.array(found)


def in_single_precision(y, exact):
    """By how much the default front end would be off, in dB, with window and FFT in float32."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(y, 512), 1024)[::160]
    window = scipy.signal.get_window("hann", 1024).astype(np.float32)
    power = np.abs(scipy.fft.rfft(frames * window)) ** 2
    mel = power @ librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=128).T
    found = 10 * np.log10(np.maximum(1e-10, mel))
    return np.abs(found - exact)[exact > exact.max() - 80].max()


arrays = {}
worst = 0.0
for name, y in signals():
    y = y.astype(np.float32)
    arrays[f"{name}/y"] = y
    for front_end, options in FRONT_ENDS.items():
        librosa.filters.mel_frequencies = linear_frequencies if front_end == "linear" else librosa.mel_frequencies
        exact = log_mel(y.astype(np.float64), options)
        single = librosa.power_to_db(
            librosa.feature.melspectrogram(y=y, sr=RATE, pad_mode="constant", **options), top_db=None
        ).T
        audible = exact > exact.max() - 80
        worst = max(worst, np.abs(exact - single)[audible].max())
        if front_end == "default":
            print(f"{name}: a float32 FFT would be off by {in_single_precision(y, exact):.1e} dB")
        arrays[f"{name}/{front_end}"] = np.ascontiguousarray(exact, np.float32)
    y = y.astype(np.float64)
    spectra = short_spectra(y)
    for measure, values in (("comodulation", comodulation(spectra)), ("novelty", novelty(spectra)), ("residual", residual(y))):
        arrays[f"{name}/{measure}"] = np.ascontiguousarray(values, np.float32)
np.savez_compressed(Path(__file__).with_name("librosa.npz"), **arrays)
print(f"librosa's float32 differs from its float64 by up to {worst:.1e} dB within 80 dB of the maximum")
