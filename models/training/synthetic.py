"""A small corpus made of nothing but arithmetic, in the layout of the real one: for tests.

    python synthetic.py OUT --speakers 12 --clips 6

Writes OUT/manifest.csv (the columns of ../shared/corpus), OUT/augment/manifest.csv (noises and
room impulse responses) and the sounds as 16-bit FLAC, 16 kHz mono.  `--layout in-the-wild` writes
OUT/meta.csv (file, speaker, label) instead, which recipe.py reads.

Bona fide is a formant synthesiser (pulses with jitter, shimmer and breath through gliding
resonators, after Klatt, 1980); spoof is the same clip through one of three crude vocoders, which
keep its words, pitch and level and differ by their artefact alone.  A model that learns these
knows nothing of real voices: a pipeline that can't learn them is broken.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import istft, lfilter, stft
from tqdm import tqdm

RATE = 16000
STEP = 80  # samples for which the resonators stand still
COLUMNS = ("path,label,source_repo,source_commit,orig_path,licence,orig_rate,orig_codec,seconds,"
           "speaker,generator,language,pair_id,split,rms_dbfs,bw_hz,note").split(",")
# Formants of vowels in hertz: Peterson and Barney (1952), men.
VOWELS = np.array([(730, 1090, 2440), (660, 1720, 2410), (570, 840, 2410), (530, 1840, 2480),
                   (490, 1350, 1690), (270, 2290, 3010), (300, 870, 2240)], float)
WIDTHS = (80, 110, 160)  # bandwidths of the formants, hertz


def aims(seconds, size, rng):
    """What the mouth aims at, for every STEP: formants [n, 3] in hertz, loudness of the voice and
    of the hiss [n] each."""
    n = int(seconds * RATE) // STEP
    formants, voice, hiss = np.empty((n, 3)), np.empty(n), np.empty(n)
    at = 0
    while at < n:
        kind = rng.random()
        long = int(rng.uniform(0.05, 0.16) * RATE / STEP)
        part = slice(at, at + long)
        formants[part] = VOWELS[rng.integers(len(VOWELS))] * size * rng.uniform(0.95, 1.05, 3)
        voice[part] = (kind < 0.7) * rng.uniform(0.5, 1.0)  # else a consonant or a pause
        hiss[part] = (0.7 <= kind < 0.88) * rng.uniform(0.1, 0.4)
        at += long
    glide = np.array([1.0 - np.exp(-STEP / RATE / 0.015)])
    return [lfilter(glide, [1, glide[0] - 1], x, axis=0, zi=(x[:1] * (1 - glide[0])))[0]
            for x in (formants, voice, hiss)]


def pulses(pitch, voice, rng):
    """Glottal pulses at `pitch` [n STEPs, hertz]: a period apart, with jitter and shimmer."""
    out = np.zeros(len(pitch) * STEP)
    at = 0.0
    while at < len(out) - 1:
        step = int(at) // STEP
        out[int(at)] = voice[step] * (1 + 0.1 * rng.standard_normal())
        at += RATE / pitch[step] * (1 + 0.015 * rng.standard_normal())
    return lfilter([1.0], [1, -1.7, 0.72], out)  # a pulse falls by 12 dB an octave


def resonate(x, hertz, width):
    """x through a two-pole resonator that moves: `hertz` [n STEPs]."""
    radius = np.exp(-np.pi * width / RATE)
    state, out = np.zeros(2), np.empty_like(x)
    for i, hz in enumerate(hertz):
        b, c = 2 * radius * np.cos(2 * np.pi * hz / RATE), -radius * radius
        part = slice(i * STEP, (i + 1) * STEP)
        out[part], state = lfilter([1 - b - c], [1, -b, -c], x[part], zi=state)
    return out


def speak(seconds, speaker, rng):
    """Bona fide: float64 samples, peak 0.5.  speaker: (pitch in hertz, size of the formants)."""
    base, size = speaker
    formants, voice, hiss = aims(seconds, size, rng)
    t = np.arange(len(voice)) * STEP / RATE
    pitch = base * (1.15 - 0.3 * (t % 1.7) / 1.7 + 0.03 * np.sin(2 * np.pi * 2.7 * t))
    breath = rng.standard_normal(len(voice) * STEP)
    vowels = pulses(pitch, voice, rng) + 0.03 * breath * np.repeat(voice, STEP)
    for k, width in enumerate(WIDTHS):
        vowels = resonate(vowels, formants[:, k], width)
    vowels = np.diff(vowels, prepend=0.0)  # lips radiate the change of the flow
    teeth = lfilter([1, -1], [1, 0.6, 0.3], breath) * np.repeat(hiss, STEP)
    both = vowels / np.abs(vowels).max() + 0.25 * teeth
    return 0.5 * both / np.abs(both).max() + 1e-3 * rng.standard_normal(len(both))


def spectrum(x, hop=128):
    """[257 bins, frames], complex."""
    return stft(x, RATE, nperseg=512, noverlap=512 - hop)[2]


def sound(spectra, length, hop=128):
    return istft(spectra, RATE, nperseg=512, noverlap=512 - hop)[1][:length]


def griffin_lim(x, rng):
    """Phases guessed from magnitudes (Griffin and Lim, 1984), in too few rounds."""
    magnitude = np.abs(spectrum(x))
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    for _ in range(3):
        phase = np.exp(1j * np.angle(spectrum(sound(magnitude * phase, len(x)))))
    return sound(magnitude * phase, len(x))


def channel_vocoder(x, rng):
    """Noise, shaped by the levels of bands of 11 bins every 16 ms."""
    level = np.abs(spectrum(x, 256))
    edges = np.arange(0, len(level), 11)
    widths = np.diff(np.append(edges, len(level)))
    shape = np.repeat(np.add.reduceat(level, edges) / widths[:, None], widths, axis=0)
    return sound(shape * spectrum(rng.standard_normal(len(x)), 256), len(x), 256)


def robot(x, rng):
    """Every frame in zero phase: a buzz at the rate of the frames."""
    hop = int(rng.integers(110, 150))
    return sound(np.abs(spectrum(x, hop)), len(x), hop)


VOCODERS = {"griffin-lim": griffin_lim, "channel": channel_vocoder, "robot": robot}


def write(path, x):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, x, RATE, subtype="PCM_16")


def clips(args):
    """(row, samples) of every clip, bona fide and spoof in turn."""
    held = max(2, args.speakers // 4)  # the last speakers are the dev split
    for number in range(args.speakers):
        rng = np.random.default_rng([args.seed, number])
        speaker = (rng.uniform(90, 220), rng.uniform(0.9, 1.2))
        for clip in range(args.clips):
            real = speak(args.seconds, speaker, rng)
            name, vocoder = list(VOCODERS.items())[(number + clip) % len(VOCODERS)]
            fake = np.resize(vocoder(real, rng), len(real))
            fake = fake * np.sqrt(np.mean(real ** 2) / (np.mean(fake ** 2) + 1e-12))
            pair = f"s{number:02}-{clip:02}"
            for label, x, generator in (("real", real, ""), ("fake", fake.clip(-1, 1), name)):
                yield dict(path=f"{label}/{pair}.flac", label=label, licence="MIT OR Apache-2.0",
                           source_repo=f"synthetic/{number % 3}", orig_rate=RATE, orig_codec="flac",
                           seconds=f"{len(x) / RATE:.2f}", speaker=f"s{number:02}",
                           generator=generator, language="none", pair_id=pair, bw_hz=RATE // 2,
                           split="dev" if number >= args.speakers - held else "train",
                           rms_dbfs=f"{10 * np.log10(np.mean(x ** 2)):.1f}"), x


def augmentation(args):
    """(row, samples) of the noises and the room impulse responses."""
    rng = np.random.default_rng([args.seed, 10_000])
    for number in range(4):
        slope = rng.uniform(0.0, 0.98)
        yield "noise", number, 0.1 * lfilter([1 - slope], [1, -slope], rng.standard_normal(4 * RATE))
        decay = np.exp(-np.arange(RATE // 2) / RATE * rng.uniform(8, 30))
        room = 0.1 * decay * rng.standard_normal(RATE // 2)
        room[int(rng.integers(20, 200))] = 0.9  # the direct sound
        yield "rir", number, room


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=Path)
    p.add_argument("--layout", choices=["corpus", "in-the-wild"], default="corpus")
    p.add_argument("--speakers", type=int, default=12, help="a quarter of them for dev")
    p.add_argument("--clips", type=int, default=6, help="of each speaker and class")
    p.add_argument("--seconds", type=float, default=4.0)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    if args.speakers < 4:
        p.error("--speakers: at least 4, for both splits need two")
    rows = []
    for row, x in tqdm(clips(args), total=2 * args.speakers * args.clips, desc="speech"):
        write(args.out / row["path"], x)
        rows.append(row)
    if args.layout == "in-the-wild":
        names = {"real": "bona-fide", "fake": "spoof"}
        columns, name = ["file", "speaker", "label"], "meta.csv"
        rows = [dict(file=r["path"], speaker=r["speaker"], label=names[r["label"]]) for r in rows]
    else:
        columns, name = COLUMNS, "manifest.csv"
        extra = []
        for kind, number, x in augmentation(args):
            path = f"augment/{kind}/{number}.flac"
            write(args.out / path, x)
            extra.append(dict(path=path, kind=kind, licence="MIT OR Apache-2.0", orig_rate=RATE,
                              seconds=f"{len(x) / RATE:.2f}"))
        keep(args.out / "augment/manifest.csv", "path,kind,source_repo,source_commit,orig_path,"
             "licence,orig_rate,orig_codec,seconds".split(","), extra)
    keep(args.out / name, columns, rows)  # last: a corpus with a list is complete


def keep(path, columns, rows):
    with open(path, "w", newline="") as f:
        table = csv.DictWriter(f, columns, restval="")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
