"""Machine voices that anyone has at hand, spoken by espeak-ng, flite and Festival: more fakes to train on.

    python voices.py --corpus ../shared/corpus --work WORK --clips 160

Writes WORK/voices/*.wav (16 kHz mono, 16 bit, at most 4 s) and WORK/manifest.csv: the corpus's rows, then
a row a clip (split `train`, path absolute).  The corpus holds neural and statistical generators, but hardly
the formant and diphone synthesisers that come with every Linux, and a detector that takes those for people
convinces nobody.  A synthesiser that isn't installed is left out, and told.
"""

import argparse
import csv
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
from tqdm import tqdm

import augment

SECONDS = 4.0
WHO = ("my brother", "the teacher", "a young doctor", "our neighbour", "the old captain", "nobody here", "her sister",
       "the whole committee", "that driver", "every child in the village", "a man from the bank", "the new manager")
DOES = ("has never forgotten", "will probably sell", "was looking for", "cannot afford", "wrote about", "remembers",
        "carefully opened", "talked all night about", "wants to change", "lost", "is worried about", "still believes in")
WHAT = ("the little house by the river", "last year's results", "a quiet place to work", "the keys of the garage",
        "two tickets for the evening train", "what happened in the summer of nineteen eighty six", "his first job",
        "the price of bread", "a letter without a signature", "the question you asked this morning", "that song")
ELSEWHERE = {  # for voices of other languages: a sentence and what can be counted in it
    "de": "Der Zug nach München fährt heute um {} Uhr {} von Gleis {} ab.",
    "fr": "Le magasin ferme à {} heures {} et la réponse est à la page {}.",
    "es": "La reunión empieza a las {} y {} en la sala número {}.",
    "it": "Il treno parte alle {} e {} dal binario numero {}.",
    "pt": "O voo sai às {} e {} da porta número {}.",
    "nl": "De winkel sluit om {} uur {} en het antwoord staat op bladzijde {}.",
    "sv": "Mötet börjar klockan {} och {} i rum nummer {}.",
    "pl": "Pociąg odjeżdża o godzinie {} {} z peronu {}.",
    "ru": "Поезд отправляется в {} часов {} минут с платформы {}.",
    "cs": "Vlak odjíždí v {} hodin {} minut z nástupiště {}.",
    "hi": "गाड़ी {} बजकर {} मिनट पर प्लेटफार्म {} से जाएगी।",
    "tr": "Tren saat {} {} geçe {} numaralı perondan kalkıyor.",
}
ENGLISH = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp")
VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+m8", "+croak",
            "+klatt", "+klatt2", "+klatt4", "+annie", "+linda", "+steph", "+rob", "+grandma", "+whisper")


def sentence(rng):
    return f"{rng.choice(WHO)} {rng.choice(DOES)} {rng.choice(WHAT)}."


def espeak(out, rng):
    """Any voice, language, pitch and speed; returns the language."""
    language = str(rng.choice(ENGLISH)) if rng.random() < 0.6 else str(rng.choice(list(ELSEWHERE)))
    text = ELSEWHERE[language].format(*rng.integers(1, 60, 3)) if language in ELSEWHERE else sentence(rng)
    voice = language + str(rng.choice(VARIANTS))
    subprocess.run(["espeak-ng", "-v", voice, "-s", str(rng.integers(110, 210)), "-p", str(rng.integers(15, 85)),
                    "-w", out, text], check=True, stderr=subprocess.DEVNULL)
    return language


def flite(out, rng):
    """One of the voices that flite holds; returns the language."""
    stretch = f"duration_stretch={rng.uniform(0.8, 1.25):.2f}"
    subprocess.run(["flite", "-voice", str(rng.choice(["kal", "kal16", "awb", "rms", "slt"])), "--setf", stretch,
                    "-t", sentence(rng), "-o", out], check=True, stdout=subprocess.DEVNULL)
    return "en"


def festival(out, rng):
    """Festival's default voice; returns the language."""
    subprocess.run(["text2wave", "-o", out], input=sentence(rng).encode(), check=True)
    return "en"


# name: (the program, who speaks, its share of the clips)
SYNTHESISERS = {"espeak-ng": ("espeak-ng", espeak, 0.6), "flite": ("flite", flite, 0.28),
                "festival": ("text2wave", festival, 0.12)}


def trimmed(x):
    """Without the silence at both ends but 0.2 s, as the corpus is; SECONDS at most."""
    loud = np.flatnonzero(np.abs(x) > 0.01 * np.abs(x).max())
    margin = augment.RATE // 5
    return x[max(0, loud[0] - margin):loud[-1] + margin][:int(SECONDS * augment.RATE)]


def speak(folder, name, speaker, count, seed):
    """`count` clips; their rows for the manifest."""
    for number in tqdm(range(count), desc=name):
        rng = np.random.default_rng([seed, number, *name.encode()])
        path = folder / f"{name}-{number}.wav"
        with tempfile.TemporaryDirectory() as scratch:
            language = speaker(f"{scratch}/a.wav", rng)
            x = trimmed(augment.read(f"{scratch}/a.wav"))
        sf.write(path, augment.level(x, rng), augment.RATE, subtype="PCM_16")
        yield {"path": str(path), "label": "fake", "source_repo": "own", "generator": name, "language": language,
               "speaker": name, "split": "train"}


def reason_against(program, speaker):
    """Why a synthesiser can't be used, in words; None if it can."""
    if not shutil.which(program):
        return "is not installed"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            speaker(f"{scratch}/a.wav", np.random.default_rng(0))
            sf.info(f"{scratch}/a.wav")
        except (subprocess.CalledProcessError, sf.SoundFileError):
            return "does not speak (is a voice for it installed?)"
    return None


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--clips", type=int, default=160)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    folder = args.work.resolve() / "voices"
    folder.mkdir(parents=True, exist_ok=True)
    with open(args.corpus / "manifest.csv", newline="") as f:
        table = csv.DictReader(f)
        rows, columns = list(table), table.fieldnames
    for name, (program, speaker, share) in SYNTHESISERS.items():
        if reason := reason_against(program, speaker):
            print(f"{program} {reason}: no voices of {name}")
        else:
            rows += speak(folder, name, speaker, round(share * args.clips), args.seed)
    with open(args.work / "manifest.csv", "w", newline="") as f:
        out = csv.DictWriter(f, columns, restval="")
        out.writeheader()
        out.writerows(rows)


if __name__ == "__main__":
    main()
