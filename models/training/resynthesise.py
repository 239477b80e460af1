"""Bona fide training clips, partly resynthesised: fakes that differ from their person by a fault alone.

    python resynthesise.py --corpus ../shared/corpus --work WORK --copies 2

Reads the bona fide `train` rows of WORK/manifest.csv (voices.py); writes WORK/resynth/<kind>/<row>-<copy>.flac
(16 kHz mono, 16 bit) and WORK/resynth/list.csv (path, clip, copy, codec), the list that `bonafide features` and
train.py read.  Every copy has its own seed, so a run repeats exactly.

A network that compares people with other people's fakes can learn rooms, microphones and speakers.  So each copy
draws one of KINDS, a fault such as a vocoder or a voice conversion makes, of random size, and is then blended with the
clip it came from: whole, in a band, in patches of time and frequency, or in part.  What is left of the person is still
there, and so is the room; what remains to be learned is the fault.  The idea is that of self-blended images (Shiohara
and Yamasaki, CVPR 2022), which did for faces what copies by many vocoders do for voices (Wang and Yamagishi, ICASSP
2023).
"""

import argparse
from pathlib import Path

import librosa
import numpy as np
import soundfile as sf
from scipy.ndimage import uniform_filter1d, zoom
from scipy.signal import butter, lfilter, medfilt, sosfilt
from tqdm import tqdm

from augment import RATE, read, rms, write_list
from data import read_manifest

FRAMES = ((400, 80), (400, 100), (512, 128), (512, 64), (800, 160), (800, 200), (1024, 256), (1024, 128))  # n_fft, hop


def spectra(x, n_fft, hop):
    """Complex spectra [bins, frames]."""
    return librosa.stft(x, n_fft=n_fft, hop_length=hop)


def sound(spectra, n_fft, hop, length):
    return librosa.istft(spectra, n_fft=n_fft, hop_length=hop, length=length)


def analysed(x, rng):
    """(spectra, their envelope, (n_fft, hop)) for a random frame."""
    n_fft, hop = FRAMES[rng.integers(len(FRAMES))]
    found = spectra(x, n_fft, hop)
    return found, envelope(found, n_fft, rng), (n_fft, hop)


def envelope(spectra, n_fft, rng):
    """What a mel spectrogram knows of magnitudes: [bins, frames], no lower than 80 dB below the loudest band."""
    bands = int(rng.choice([64, 80, 100, 128] if n_fft >= 800 else [40, 64, 80]))
    mel = librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=bands, fmax=int(rng.choice([7600, 8000])))
    magnitudes = np.abs(spectra)
    known = mel @ magnitudes
    floor = 0.3 * np.minimum(magnitudes, known.max() * 1e-4)
    return np.maximum(np.linalg.pinv(mel) @ known, floor)


def heights(spectra):
    """The bins' frequencies, 0 to 1, [bins, 1]."""
    return np.linspace(0, 1, len(spectra), dtype=np.float32)[:, None]


def jitter(x, rng):
    """Phases shaken, the more the higher: a phase that a network foretold."""
    found, _, frame = analysed(x, rng)
    shake = rng.standard_normal(found.shape)
    if rng.random() < 0.5:  # slower than frames
        shake = uniform_filter1d(shake, 5, axis=0) * 5 ** 0.5
    shake = shake * rng.uniform(0.3, 2.5) * heights(found) ** rng.uniform(0.3, 1.5)
    return sound(found * np.exp(1j * shake), *frame, len(x))


def noise(x, rng):
    """Noise of the same envelope above some frequency: aperiodicity where there was a voice."""
    found, smooth, frame = analysed(x, rng)
    other = spectra(rng.standard_normal(len(x)).astype(np.float32), *frame)
    other /= np.abs(other).mean()
    edge = rng.uniform(1500, 6000) / RATE * 2 * len(found)
    share = 1 / (1 + np.exp((edge - np.arange(len(found))) / rng.uniform(1, 30)))[:, None] * rng.uniform(0.5, 1)
    return sound(found * (1 - share) + other * smooth * share, *frame, len(x))


def copied(x, rng):
    """Above some frequency what lies below it, in the envelope that was there: spectral band replication."""
    found, smooth, frame = analysed(x, rng)
    edge = int(rng.uniform(3000, 6000) / RATE * 2 * (len(found) - 1))
    shift = int(rng.integers(edge // 3, edge))
    above = np.arange(edge, len(found))
    below = edge - shift + (above - edge) % shift
    found = found.copy()
    found[above] = found[below] * np.minimum(smooth[above] / (smooth[below] + 1e-6), 30)
    return sound(found, *frame, len(x))


def held(x, rng):
    """The envelope held, or drawn straight, over some frames: a decoder that moves in steps of 8 to 25 ms."""
    frame = 512, int(rng.choice([64, 80]))
    found = spectra(x, *frame)
    smooth = np.log(envelope(found, 512, rng) + 1e-6)
    times, step = np.arange(found.shape[1]), int(rng.integers(2, 6))
    if rng.random() < 0.5:
        slow = smooth[:, times // step * step]
    else:
        slow = np.stack([np.interp(times, times[::step], band[::step]) for band in smooth])
    change = np.exp(slow - smooth).clip(0.05, 20) ** rng.uniform(0.5, 1)
    return sound(found * change, *frame, len(x))


def quantised(x, rng):
    """Envelopes drawn towards a few of the clip's own: what a codebook or an averaging model leaves of variety."""
    frame = 512, 160
    found = spectra(x, *frame)
    smooth = np.log(envelope(found, 512, rng) + 1e-6).T
    book = smooth[rng.permutation(len(smooth))[:int(rng.integers(16, 128))]]
    nearest = (np.square(book).sum(1) - 2 * smooth @ book.T).argmin(1)
    change = rng.uniform(0.3, 0.8) * (book[nearest] - smooth).T
    if rng.random() < 0.5:
        change = uniform_filter1d(change, 3, axis=1)
    return sound(found * np.exp(change.clip(-3, 3)), *frame, len(x))


def aliased(x, rng):
    """A neuron's curve at the sample rate: what it adds above half of that folds back."""
    peak = np.abs(x).max() + 1e-6
    x, bend = x / peak, rng.uniform(2, 30)
    added = np.sin(bend * x) ** 2 / bend if rng.random() < 0.6 else np.where(x > 0, x, rng.uniform(0.1, 0.5) * x)
    added = sosfilt(butter(2, rng.uniform(200, 3000), "high", fs=RATE, output="sos"), added - added.mean())
    return peak * (x + added * rms(x) / rms(added) * 10 ** (rng.uniform(-35, -10) / 20))


def pulses(x, rng):
    """Pulses at the pitch and noise above, in the smoothed envelope: a source-filter vocoder."""
    frame = 1024, 160
    pitch = medfilt(librosa.yin(x, fmin=65, fmax=450, sr=RATE, frame_length=1024, hop_length=160), 5)
    pitch = np.interp(np.arange(len(x)), np.arange(len(pitch)) * 160, pitch)
    train = np.diff(np.floor(np.cumsum(pitch / RATE)), prepend=0) * np.sqrt(RATE / pitch)
    if rng.random() < 0.5:  # a pulse that rings
        ring = rng.standard_normal(64) * np.exp(-np.arange(64) / rng.uniform(3, 20))
        train = lfilter(ring / np.sqrt(np.square(ring).sum()), 1, train)
    hiss = spectra(rng.standard_normal(len(x)).astype(np.float32), *frame)
    found = spectra(x, *frame)
    hz = heights(found) * RATE / 2
    share = 1 / (1 + np.exp((rng.uniform(1500, 5500) - hz) / rng.uniform(100, 800)))
    source = spectra(train.astype(np.float32), *frame) * (1 - share) + hiss * share
    width = int(rng.integers(8, 30)) // 2 * 2 + 1

    def smooth(x):
        return uniform_filter1d(np.abs(x), width, axis=0) + 1e-7

    return sound(source * np.minimum(smooth(found) / smooth(source), 1e3), *frame, len(x))


def moved(x, rng):
    """Pitch or tempo changed by a phase vocoder, as voice conversion does."""
    n_fft = int(rng.choice([512, 1024, 2048]))
    if rng.random() < 0.6:
        steps = float(rng.choice([-1, 1]) * rng.uniform(0.3, 4))
        return librosa.effects.pitch_shift(x, sr=RATE, n_steps=steps, n_fft=n_fft, res_type="soxr_hq")
    return librosa.effects.time_stretch(x, rate=rng.uniform(0.85, 1.18), n_fft=n_fft)


KINDS = {f.__name__: f for f in (jitter, noise, copied, held, quantised, aliased, pulses, moved)}
WHOLE = ("noise", "copied", "moved")  # they are in a band already, or no longer in time with the clip
IN_PHASE = ("held", "quantised", "aliased")  # so their samples may be added to the clip's


def blended(x, y, kind, rng):
    """A clip and its copy: all of the copy, some of its spectrum, or some of each sample."""
    how = rng.random()
    if kind in WHOLE or how < 0.35:
        return y
    if how >= 0.7 and kind in IN_PHASE:
        share = rng.uniform(0.3, 1)
        return (1 - share) * x + share * y
    clip, copy = spectra(x, 512, 128), spectra(np.asarray(y, np.float32), 512, 128)
    if rng.random() < 0.6:  # a band, a quarter of all at least
        low, high = np.sort(rng.uniform(0, 1, 2))
        if high - low < 0.25:
            high = min(1.0, low + 0.25)
            low = high - 0.25
        height = heights(clip)
        share = 1 / (1 + np.exp((low - height) / 0.02)) / (1 + np.exp((height - high) / 0.02))
    else:
        coarse = rng.random((int(rng.integers(2, 9)), int(rng.integers(3, 40))))
        fine = zoom(coarse, np.array(clip.shape) / coarse.shape, order=1)
        share = 1 / (1 + np.exp(-12 * (fine - rng.uniform(0.2, 0.6))))
    return sound(clip * (1 - share) + copy * share, 512, 128, len(x))


def resynthesised(x, rng):
    """(samples as loud as x, float32; name of the kind)."""
    kind = list(KINDS)[rng.integers(len(KINDS))]
    y = blended(x, KINDS[kind](x, rng), kind, rng)
    y = y * rms(x) / rms(y)
    return (y * min(1.0, 0.99 / np.abs(y).max())).astype(np.float32), kind


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=2, help="of each bona fide clip")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    clips = [r["path"] for r in read_manifest(args.work) if r["split"] == "train" and r["label"] != "fake"]
    out, rows = args.work / "resynth", []
    for kind in KINDS:
        (out / kind).mkdir(parents=True, exist_ok=True)
    for number, clip in enumerate(tqdm(clips, desc="resynthesised")):
        x = read(args.corpus / clip)
        for copy in range(1, args.copies + 1):
            y, kind = resynthesised(x, np.random.default_rng([args.seed, copy, number]))
            path = f"{kind}/{number}-{copy}.flac"
            sf.write(out / path, y, RATE, subtype="PCM_16")
            rows.append((path, clip, copy, ""))
    write_list(rows, out / "list.csv")


if __name__ == "__main__":
    main()
