"""Degraded copies of the training clips, the same for both classes.

    python augment.py --corpus ../shared/corpus --work WORK --copies 8

Reads the `train` rows of WORK/manifest.csv (voices.py) and the noises and room impulse responses of
CORPUS/augment; writes WORK/aug/<copy>/<row>.wav (16 kHz mono, 16 bit) and WORK/aug/list.csv
(path, clip, copy, codec), the list that `bonafide features` and train.py read; WORK/single/<kind>/ likewise, copies
with one degradation each (SINGLE), of the dev clips too, by which the fusion is calibrated; and WORK/noise/ with the
noises and some of our own (noise of any slope, music), which train.py mixes in anew each time.  Every clip of every
copy has its own seed, so a run repeats exactly.  Already written copies are kept.

The corpus leaks the label through bandwidth, level, room and codec (see its README).  So each
copy of each clip in WORK/aug, real or fake, draws: speed, room, equaliser, clipping, noise or music, low-pass or a trip
through a low sample rate, companding, and a real codec (ffmpeg).  Codecs run on many clips joined into
one file per setting, which is some hundred times faster than a process per clip.
"""

import argparse
import csv
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from scipy.signal import fftconvolve
from tqdm import tqdm

from data import read_manifest

RATE = 16000
LOW_RATES = (8000, 11025, 12000)
GENERATED = 60  # stretches of noise and of music in WORK/noise, 10 s each
GAP = 4800  # silent samples between joined clips: a codec's memory does not reach across
# name: (chance among coded clips, sample rate on the wire, extension, ffmpeg encoder arguments)
CODECS = {
    "mp3-32": (1, 16000, "mp3", ["-c:a", "libmp3lame", "-b:a", "32k"]),
    "mp3-64": (2, 22050, "mp3", ["-c:a", "libmp3lame", "-b:a", "64k"]),
    "mp3-128": (2, 44100, "mp3", ["-c:a", "libmp3lame", "-b:a", "128k"]),
    "aac-32": (1, 16000, "m4a", ["-c:a", "aac", "-b:a", "32k"]),
    "aac-64": (2, 24000, "m4a", ["-c:a", "aac", "-b:a", "64k"]),
    "vorbis": (1, 22050, "ogg", ["-c:a", "libvorbis", "-q:a", "1"]),
    "opus-8": (2, 8000, "opus", ["-c:a", "libopus", "-b:a", "8k"]),
    "opus-12": (4, 16000, "opus", ["-c:a", "libopus", "-b:a", "12k"]),
    "opus-20": (2, 24000, "opus", ["-c:a", "libopus", "-b:a", "20k"]),
    "opus-32": (2, 48000, "opus", ["-c:a", "libopus", "-b:a", "32k"]),
    "gsm": (5, 8000, "gsm", ["-c:a", "libgsm"]),
    "speex": (1, 16000, "ogg", ["-c:a", "libspeex", "-b:a", "20k"]),
}


def read(path):
    """Mono float32 samples in [-1, 1] at 16 kHz."""
    x, rate = sf.read(path, dtype="float32", always_2d=True)
    x = x.mean(1)
    return x if rate == RATE else soxr.resample(x, rate, RATE)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x)) + 1e-12))


def fit(x, n, rng):
    """A random stretch of n samples of x, repeated if x is shorter."""
    if len(x) < n:
        x = np.tile(x, n // len(x) + 1)
    start = rng.integers(0, len(x) - n + 1)
    return x[start:start + n]


def synthetic_noise(n, rng):
    """Gaussian noise with a random slope (-9..+3 dB an octave) and a random hum of the mains."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 30.0)
    noise = np.fft.irfft(spectrum * hz ** (rng.uniform(-9, 3) / 6.02), n)
    noise /= rms(noise)
    if rng.random() < 0.2:
        t = np.arange(n) / RATE
        base = rng.choice([50, 60])
        hum = sum(np.sin(2 * np.pi * base * k * t + rng.uniform(0, 6.3)) / k for k in range(1, 8))
        noise = noise + hum * rng.uniform(0.3, 3)
    return noise


def music(n, rng):
    """Chords of decaying tones and bursts of noise on a beat: sound under speech that is not noise."""
    beat = int(RATE * rng.uniform(0.3, 0.75))
    out, key = np.zeros(n + beat), rng.uniform(80, 220)
    brightness, drums = rng.uniform(0.3, 1.5), rng.uniform(0, 1)
    for number, at in enumerate(range(0, n, beat)):
        t = np.arange(min(len(out) - at, beat * 2)) / RATE
        if number % 4 == 0:
            root = rng.choice([0, 3, 4, 5, 7, 9])
        for above in rng.choice([-12, 0, 3, 4, 7, 10, 12, 16], rng.integers(1, 5), replace=False):
            hz, decay = key * 2 ** ((root + above) / 12), rng.uniform(0.5, 6)
            tone = sum(np.sin(2 * np.pi * hz * k * t + rng.uniform(0, 6.3)) / k ** brightness
                       for k in range(1, 7) if hz * k < RATE / 2)
            out[at:at + len(t)] += tone * np.exp(-decay * t)
        hit = rng.standard_normal(len(t)) * np.exp(-rng.uniform(15, 60) * t)
        out[at:at + len(t)] += drums * 4 * hit
    return out[:n]


def filtered(x, rng, low_pass):
    """Random smooth equaliser (+-8 dB), slope (+-3 dB an octave) and low-pass (3.4..7.6 kHz)."""
    n = len(x)
    hz = np.fft.rfftfreq(n, 1 / RATE)
    octave = np.log2(np.maximum(hz, 50.0) / 50.0)  # 0..7.3
    gain = np.zeros_like(hz)
    if rng.random() < 0.6:
        knots = rng.normal(0, rng.uniform(0.5, 4), 9).clip(-8, 8)
        gain += np.interp(octave, np.linspace(0, 7.33, 9), knots)
        gain += rng.uniform(-3, 3) * (octave - 4)
    if rng.random() < 0.3:
        cut = rng.uniform(40, 300)
        gain -= 12 * np.maximum(0, np.log2(cut / np.maximum(hz, 10)))
    if low_pass:
        cut = rng.uniform(3400, 7600)
        width = rng.uniform(100, 800)
        gain -= np.clip((hz - cut) / width, 0, 1) * rng.uniform(40, 100)
    return np.fft.irfft(np.fft.rfft(x) * 10 ** (gain / 20), n)


def clipped(x, rng):
    """Overdriven by 6 to 24 dB above full scale, and cut there."""
    full = np.abs(x).max() * 10 ** (-rng.uniform(6, 24) / 20)
    return x.clip(-full, full)


def in_room(x, rng, rooms):
    room = rooms[rng.integers(len(rooms))]
    wet = fftconvolve(x, room)[:len(x)]
    share = rng.uniform(0.3, 1.0)
    return share * wet * rms(x) / rms(wet) + (1 - share) * x


def under(x, noise, rng):
    """With noise or music that is 0 to 30 dB below."""
    return x + noise * (rms(x) / rms(noise) * 10 ** (-rng.uniform(0, 30) / 20))


def noisy(x, rng, noises, musical):
    """Under noise, of which the share `musical` is music."""
    kind = rng.random()
    if kind < 0.4:
        noise = synthetic_noise(len(x), rng)
    elif kind < 0.4 + musical:
        noise = music(len(x), rng)
    else:
        noise = fit(noises[rng.integers(len(noises))], len(x), rng)
    return under(x, noise, rng)


def companded(x, law):
    """G.711 at 8 kHz: 8-bit mu-law or A-law and back."""
    y = soxr.resample(x, RATE, 8000)
    y = y / (np.abs(y).max() + 1e-9) * 0.7
    if law == "mu":
        c = np.sign(y) * np.log1p(255 * np.abs(y)) / np.log(256)
        c = np.round(c * 127) / 127
        y = np.sign(c) * (256 ** np.abs(c) - 1) / 255
    else:
        a, k = 87.6, 1 + np.log(87.6)
        m = np.abs(y)
        c = np.where(m < 1 / a, a * m, 1 + np.log(np.maximum(a * m, 1e-9))) / k
        c = np.round(c * 127) / 127
        y = np.sign(y) * np.where(c < 1 / k, c * k / a, np.exp(c * k - 1) / a)
    return soxr.resample(y.astype(np.float32), 8000, RATE)


def g711(x, rng, noises, rooms):
    return companded(x.astype(np.float32), str(rng.choice(["mu", "a"]))), ""


def narrowed(x, rng, noises, rooms):
    """At a low rate and back."""
    rate = int(rng.choice(LOW_RATES))
    return soxr.resample(soxr.resample(x, RATE, rate), rate, RATE), ""


def degrade(x, rng, noises, rooms):
    """One random chain; returns (samples, name of the codec still to be applied or "")."""
    if rng.random() < 0.15:  # nearly clean: keep what only a clean recording shows
        return x * 10 ** (rng.uniform(-12, 0) / 20), ""
    if rng.random() < 0.4:
        speed = rng.uniform(0.92, 1.08)
        x = soxr.resample(x, RATE * speed, RATE)
    if rng.random() < 0.35:
        x = in_room(x, rng, rooms)
    if rng.random() < 0.35:
        x = filtered(x, rng, False)  # the microphone
    if rng.random() < 0.12:
        x = clipped(x, rng)
    if rng.random() < 0.6:
        x = noisy(x, rng, noises, 0.15)
    kind = rng.random()
    if kind < 0.35:
        x = filtered(x, rng, True)
    elif kind < 0.5:
        x, _ = narrowed(x, rng, noises, rooms)
    elif kind < 0.6:
        x, _ = g711(x, rng, noises, rooms)
    codec = ""
    if rng.random() < 0.6:
        chance = np.array([c[0] for c in CODECS.values()], float)
        codec = str(rng.choice(list(CODECS), p=chance / chance.sum()))
    return x, codec


def coded(*families):
    """A copy through one codec of these families and nothing else."""
    names = [name for name in CODECS if name.split("-")[0] in families]
    return lambda x, rng, noises, rooms: (x, str(rng.choice(names)))


def without_edge(x, rng, noises, rooms):
    """Cut steeply between 6.8 and 7.9 kHz, as an encoder of MP3 does, or a resampler."""
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    fall = ((hz - rng.uniform(6800, 7900)) / rng.uniform(30, 200)).clip(0, 1) * rng.uniform(40, 90)
    return np.fft.irfft(np.fft.rfft(x) * 10 ** (-fall / 20), len(x)), ""


# What makes each copy that has one degradation alone, by the name of that.
SINGLE = {
    "mp3": coded("mp3"),
    "opus": coded("opus"),
    "codec": coded("aac", "vorbis", "speex"),
    "gsm": coded("gsm"),
    "g711": g711,
    "narrow": narrowed,
    "edge": without_edge,
    "noise": lambda x, rng, noises, rooms: (noisy(x, rng, noises, 0), ""),
    "music": lambda x, rng, noises, rooms: (under(x, music(len(x), rng), rng), ""),
    "room": lambda x, rng, noises, rooms: (in_room(x, rng, rooms), ""),
    "clip": lambda x, rng, noises, rooms: (clipped(x, rng), ""),
}


def level(x, rng):
    """Peak at -0.5..-24 dBFS; returns int16."""
    peak = 10 ** (rng.uniform(-24, -0.5) / 20)
    return np.round(x / (np.abs(x).max() + 1e-9) * peak * 32767).astype(np.int16)


def through_codec(name, clips):
    """A list of int16 clips through one ffmpeg encoder and back; same lengths."""
    _, rate, extension, arguments = CODECS[name]
    joined = np.concatenate([np.concatenate([c, np.zeros(GAP, np.int16)]) for c in clips])
    quiet = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-threads", "1"]
    raw = ["-f", "s16le", "-ac", "1", "-ar", str(RATE)]
    with tempfile.TemporaryDirectory() as folder:
        coded = f"{folder}/a.{extension}"
        subprocess.run([*quiet, *raw, "-i", "-", "-ar", str(rate), *arguments, coded],
                       input=joined.tobytes(), check=True)
        decoded = subprocess.run([*quiet, "-i", coded, *raw, "-"], check=True,
                                 stdout=subprocess.PIPE).stdout
    y = np.frombuffer(decoded, np.int16)
    y = np.pad(y, (0, max(0, len(joined) - len(y))))
    out, at = [], 0
    for clip in clips:
        out.append(y[at:at + len(clip)])
        at += len(clip) + GAP
    return out


def write_list(rows, path):
    """The list of (path, clip, copy, codec) that `bonafide features` and train.py read."""
    with open(path, "w", newline="") as f:
        csv.writer(f).writerows([("path", "clip", "copy", "codec"), *rows])


def write_noises(noises, out, seed):
    """The noises, ours among them, and their list for `bonafide features`."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    noises = [*noises, *(make(10 * RATE, rng) for make in (synthetic_noise, music)
                         for _ in range(GENERATED))]
    for number, noise in enumerate(noises):
        noise = np.tile(noise, 3 * RATE // len(noise) + 1)  # more than a window
        sf.write(out / f"{number}.wav", 0.1 * noise / rms(noise), RATE, subtype="FLOAT")
    write_list(((f"{number}.wav", "", "", "") for number in range(len(noises))), out / "list.csv")


def write_copies(folder, makers, clips, corpus, noises, rooms, seed):
    """A copy of each clip by each of makers {name: function}, and their list."""
    rows = []
    for copy, (name, make) in enumerate(makers.items(), 1):
        done = folder / name / "done.csv"
        if not done.exists():
            done.parent.mkdir(parents=True, exist_ok=True)
            coded, listed = {}, []
            for number, clip in enumerate(tqdm(clips, desc=f"{folder.name} {name}")):
                rng = np.random.default_rng([seed, copy, number])
                x, codec = make(read(corpus / clip).astype(np.float64), rng, noises, rooms)
                x, path = level(x, rng), f"{name}/{number}.wav"
                listed.append((path, clip, name, codec))
                if codec:
                    coded.setdefault(codec, []).append((path, x))
                else:
                    sf.write(folder / path, x, RATE, subtype="PCM_16")
            for codec, pairs in tqdm(coded.items(), desc="codecs"):
                for (path, _), y in zip(pairs, through_codec(codec, [x for _, x in pairs])):
                    sf.write(folder / path, y, RATE, subtype="PCM_16")
            with open(done, "w", newline="") as f:
                csv.writer(f).writerows(listed)
        with open(done, newline="") as f:
            rows += list(csv.reader(f))
    write_list(rows, folder / "list.csv")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    manifest = read_manifest(args.work)
    clips, dev = ([row["path"] for row in manifest if row["split"] == split] for split in ("train", "dev"))
    with open(args.corpus / "augment/manifest.csv", newline="") as f:
        extra = list(csv.DictReader(f))
    noises = [read(args.corpus / r["path"]) for r in extra if r["kind"] == "noise"]
    rooms = []
    for row in extra:
        if row["kind"] != "noise":
            room = read(args.corpus / row["path"])
            rooms.append(room[np.abs(room).argmax():][:RATE].astype(np.float64))  # no delay
    write_noises(noises, args.work / "noise", args.seed)
    rest = args.corpus, noises, rooms, args.seed
    write_copies(args.work / "aug", {str(copy): degrade for copy in range(1, args.copies + 1)}, clips, *rest)
    write_copies(args.work / "single", SINGLE, clips + dev, *rest)


if __name__ == "__main__":
    main()
