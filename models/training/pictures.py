"""Sound to pictures for recipe.py: librosa's mel spectrogram in dB as an 8-bit image.

Pictures are drawn once, through the processor's resizing and cropping, and kept as
OUT/pictures-<settings>.npy, uint8 [clips, channels, height, width].
"""

import csv
import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import soundfile as sf
import soxr
from tqdm import tqdm

SECONDS = 2.0  # of a clip
LEAST = 1.0  # seconds; a shorter rest of a file makes no clip of its own
SPOOF = {"real": 0, "bonafide": 0, "bona-fide": 0, "fake": 1, "spoof": 1}


@dataclass
class File:
    path: Path
    spoof: int
    speaker: str
    split: str


def add_arguments(p):
    p.add_argument("--sample-rate", type=int, default=16000)
    p.add_argument("--n-fft", type=int, default=2048)
    p.add_argument("--hop", type=int, default=250, help="250 draws a square of 128 x 128")
    p.add_argument("--n-mels", type=int, default=128)
    p.add_argument("--frames", type=int, help="of a picture; default: all that begin in 2 s")
    p.add_argument("--colour-map", default="gray",
                   choices=["gray", "magma", "viridis", "inferno", "plasma"])
    p.add_argument("--low-at-bottom", action="store_true", help="as figures are drawn")
    p.add_argument("--image-size", type=int, default=224, help="the network's, in pixels")
    p.add_argument("--crop", type=float, default=0.875, help="share of the picture's shorter side")
    p.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0))
                   if hasattr(os, "sched_getaffinity") else os.cpu_count())


def import_options(args):
    """The options of `bonafide model import` that draw the same pictures."""
    options = (f"--sample-rate {args.sample_rate} --n-fft {args.n_fft} --hop {args.hop} "
               f"--n-mels {args.n_mels} --frames {frames(args)} --colour-map {args.colour_map}")
    return options + (" --low-at-bottom" if args.low_at_bottom else "")


def read_list(folder):
    """The labelled files of a folder in either layout."""
    meta, manifest = folder / "meta.csv", folder / "manifest.csv"
    if not meta.exists() and not manifest.exists():
        raise SystemExit(f"{folder} has neither meta.csv nor manifest.csv: see --help")
    with open(meta if meta.exists() else manifest, newline="") as f:
        rows = list(csv.DictReader(f))
    try:
        return [File(folder / (r["file"] if meta.exists() else r["path"]), SPOOF[r["label"].lower()],
                     r["speaker"], r.get("split", "")) for r in rows]
    except KeyError as error:
        raise SystemExit(f"{f.name}: no column or label {error}; labels are {', '.join(SPOOF)}")


def frames(args):
    return args.frames or -(-int(SECONDS * args.sample_rate) // args.hop)


def starts(path):
    """Seconds at which the clips of a file begin: one after the other, the last at the end."""
    info = sf.info(path)
    seconds = info.frames / info.samplerate
    whole = [SECONDS * i for i in range(int(seconds / SECONDS))]
    rest = seconds - SECONDS * len(whole)
    if not whole or rest >= LEAST:
        whole.append(max(0.0, seconds - SECONDS))
    return whole


def draw(y, args):
    """A clip as a picture: uint8 [height, width] or, with a colour map, [height, width, 3]."""
    power = librosa.feature.melspectrogram(y=y, sr=args.sample_rate, n_fft=args.n_fft,
                                           hop_length=args.hop, n_mels=args.n_mels)
    db = librosa.power_to_db(power[:, :frames(args)], ref=np.max, top_db=80)
    x = (db + 80) / 80
    if args.low_at_bottom:
        x = x[::-1]
    if args.colour_map == "gray":
        return np.floor(x * 255 + 0.5).astype(np.uint8)
    import matplotlib
    return matplotlib.colormaps[args.colour_map](x, bytes=True)[..., :3]


def draw_file(job, args, processor):
    """uint8 [clips, channels, size, size] of one file; a short one is repeated."""
    path, begins = job
    y, rate = sf.read(path, dtype="float32", always_2d=True)
    y = soxr.resample(y.mean(1), rate, args.sample_rate)
    length = int(SECONDS * args.sample_rate)
    out = []
    for begin in begins:
        first = int(begin * args.sample_rate)
        picture = draw(np.resize(y[first:first + length], length), args)
        colour = np.ascontiguousarray(np.stack([picture] * 3, -1) if picture.ndim == 2 else picture)
        pixels = processor(colour, do_rescale=False, do_normalize=False, return_tensors="np",
                           input_data_format="channels_last")["pixel_values"][0]
        out.append(pixels[:1] if picture.ndim == 2 else pixels)
    return np.stack(out).astype(np.uint8)


def draw_all(args, files, processor):
    """(number of the file of each clip, pictures of all clips), drawn or from before."""
    names = ("sample_rate", "n_fft", "hop", "n_mels", "frames", "colour_map", "low_at_bottom")
    key = json.dumps([[getattr(args, n) for n in names], processor.to_dict(),
                      [str(f.path) for f in files]], default=str)
    store = args.out / f"pictures-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npy"
    jobs = [(f.path, starts(f.path)) for f in tqdm(files, desc="lengths", mininterval=2, ncols=100)]
    clips = np.repeat(np.arange(len(files)), [len(begins) for _, begins in jobs])
    if not store.exists():
        part, images, at = store.with_suffix(".part"), None, 0
        with ProcessPoolExecutor(args.workers) as pool:
            drawn = pool.map(partial(draw_file, args=args, processor=processor), jobs, chunksize=8)
            for pixels in tqdm(drawn, total=len(jobs), desc="pictures", mininterval=2, ncols=100):
                if images is None:
                    images = np.lib.format.open_memmap(part, "w+", np.uint8,
                                                       (len(clips), *pixels.shape[1:]))
                images[at:at + len(pixels)] = pixels
                at += len(pixels)
        images.flush()
        part.replace(store)
    return clips, np.load(store, mmap_mode="r")
