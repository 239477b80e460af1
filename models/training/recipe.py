"""The published recipe: a Hugging Face ConvNeXt on mel images of 2-s clips.

    python recipe.py --data DIR --out OUT --split random speaker --seeds 1 2 3

DIR holds In-the-Wild (meta.csv: file, speaker, label; the sound beside it) or our corpus
(manifest.csv: path, label, speaker, split).  A clip becomes librosa's mel spectrogram in dB, an
8-bit image, and through ConvNextImageProcessor the input of a ConvNeXt-Tiny.  What a model card
reports is printed and written to OUT/report.json, for each way of splitting side by side:

  random   files at random: the same voices, and often the same recording, on both sides;
  speaker  no voice on both sides: what a listener who meets a new voice can expect;
  given    the manifest's own column `split`: dev against train.

OUT/<split>-<seed>/model is a checkpoint for transformers and for `bonafide model import`.
Interrupted, the same command goes on where it stopped.  It runs on a GPU if PyTorch sees one.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm
from transformers import ConvNextConfig, ConvNextForImageClassification, ConvNextImageProcessor

import metrics
import pictures

LABELS = {0: "fake", 1: "real"}  # the published checkpoint's order
SIZES = {  # depths, widths
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
    "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
    "mini": ((1, 1, 1, 1), (16, 32, 64, 128)),  # for tests
}

# What a training that goes on must share with the one that was interrupted.
SETTINGS = ("data test_share size checkpoint layer_scale epochs batch rate decay sample_rate n_fft hop "
            "n_mels frames colour_map low_at_bottom image_size crop").split()


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, required=True, help="folder with meta.csv or manifest.csv")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--split", nargs="+", default=["random", "speaker"],
                   choices=["random", "speaker", "given"])
    p.add_argument("--test-share", type=float, default=0.2, help="of the files, for testing")
    p.add_argument("--seeds", nargs="+", type=int, default=[1])
    p.add_argument("--size", choices=SIZES, default="tiny")
    p.add_argument("--checkpoint", type=Path, help="folder of a checkpoint to fine-tune")
    p.add_argument("--layer-scale", type=float, default=1.0,
                   help="initial, without a checkpoint; at 1e-6 training from nothing stalls")
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--rate", type=float, help="default: 5e-5 from a checkpoint, else 1e-3")
    p.add_argument("--decay", type=float, default=0.05)
    p.add_argument("--save-minutes", type=float, default=5.0)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    pictures.add_arguments(p)
    args = p.parse_args()
    args.rate = args.rate or (5e-5 if args.checkpoint else 1e-3)
    return args


def processor_of(args):
    """From sound's picture to pixels: the checkpoint's, else transformers' for 224 pixels."""
    if args.checkpoint:
        return ConvNextImageProcessor.from_pretrained(args.checkpoint)
    return ConvNextImageProcessor(size={"shortest_edge": args.image_size}, crop_pct=args.crop,
                                  resample=3)  # bicubic


def network(args):
    names = dict(id2label=LABELS, label2id={v: k for k, v in LABELS.items()})
    if args.checkpoint:
        return ConvNextForImageClassification.from_pretrained(
            args.checkpoint, ignore_mismatched_sizes=True, **names)
    depths, widths = SIZES[args.size]
    return ConvNextForImageClassification(ConvNextConfig(
        depths=list(depths), hidden_sizes=list(widths), image_size=args.image_size,
        layer_scale_init_value=args.layer_scale, **names))


def tested(files, split, share, seed):
    """bool [files]: which ones are for testing."""
    if split == "given":
        return np.array([f.split != "train" for f in files])
    # What may not be divided: a file, or all files of a voice.
    owner = [f.speaker or f.path for f in files] if split == "speaker" else [f.path for f in files]
    owners = sorted(set(owner))
    np.random.default_rng(seed).shuffle(owners)
    numbers = {name: i for i, name in enumerate(owners)}
    count = np.zeros((len(owners), 2))
    for f, name in zip(files, owner):
        count[numbers[name], f.spoof] += 1
    wanted, taken, chosen = share * count.sum(0), np.zeros(2), set()
    for name in owners:  # a voice with too many files of a class stays in training
        after = taken + count[numbers[name]]
        if (after <= np.maximum(1.1 * wanted, 1)).all():
            taken, _ = after, chosen.add(name)
    for label in (0, 1):  # few voices, each with more than the share: the smallest one, then
        if not taken[label]:
            smallest = min(np.flatnonzero(count[:, label]), key=lambda i: count[i].sum())
            taken, _ = taken + count[smallest], chosen.add(owners[smallest])
    return np.array([name in chosen for name in owner])


class Pixels:
    """Drawn pictures as input of the network, rescaled and normalised as the processor does."""

    def __init__(self, images, processor, device):
        self.images, self.device = images, device
        shape = (1, -1, 1, 1)
        self.factor = processor.rescale_factor
        self.mean = torch.tensor(processor.image_mean, device=device).view(shape)
        self.std = torch.tensor(processor.image_std, device=device).view(shape)

    def __call__(self, rows):
        x = torch.from_numpy(self.images[rows]).to(self.device).float()
        return (x * self.factor - self.mean) / self.std


@torch.no_grad()
def scores(net, pixels, rows, batch):
    """logit of fake - logit of real, float64 [rows]; rows ascend."""
    net.eval()
    out = []
    for at in range(0, len(rows), batch):
        with torch.autocast(pixels.device, torch.bfloat16, enabled=pixels.device != "cpu"):
            logits = net(pixels(rows[at:at + batch])).logits.float()
        out.append((logits[:, 0] - logits[:, 1]).cpu())
    return torch.cat(out).double().numpy()


def fit(args, net, pixels, rows, spoof, folder, seed):
    """Trains on the clips `rows`; goes on from folder/last.pt."""
    settings = {name: str(getattr(args, name)) for name in SETTINGS}
    optimizer = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=args.decay)
    each = math.ceil(len(rows) / args.batch)
    steps, step, saved_at = each * args.epochs, 0, time.monotonic()
    last = folder / "last.pt"
    if last.exists():
        saved = torch.load(last, map_location=args.device)
        other = [name for name in SETTINGS if saved["settings"][name] != settings[name]]
        if other:
            raise SystemExit(f"{folder} holds a training with another {', '.join(other)}: "
                             "choose another --out, or remove it")
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    bar = tqdm(total=steps, initial=step, desc=folder.name, mininterval=2, ncols=100)
    while step < steps:
        epoch, number = divmod(step, each)
        order = np.random.default_rng([seed, epoch]).permutation(rows)
        chosen = np.sort(order[number * args.batch:(number + 1) * args.batch])
        share = step / steps
        warm = min(1.0, share / 0.1 + 1 / steps)
        for group in optimizer.param_groups:
            group["lr"] = args.rate * warm * (0.51 + 0.49 * math.cos(math.pi * share))
        net.train()
        with torch.autocast(args.device, torch.bfloat16, enabled=args.device != "cpu"):
            logits = net(pixels(chosen)).logits.float()
        target = torch.from_numpy(1 - spoof[chosen]).to(args.device)  # LABELS: 0 fake, 1 real
        loss = F.cross_entropy(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        bar.update(1)
        if step % 10 == 0 or step == steps:
            bar.set_postfix(loss=f"{loss.item():.3f}", epoch=epoch + 1, refresh=False)
        if step == steps or time.monotonic() - saved_at > 60 * args.save_minutes:
            torch.save(dict(net=net.state_dict(), optimizer=optimizer.state_dict(), step=step,
                            settings=settings), folder / "part.pt")
            (folder / "part.pt").replace(last)
            saved_at = time.monotonic()
    bar.close()


def report(score, spoof, owner):
    """What a card reports, per clip; and error rates per clip and per file."""
    called = score > 0
    confusion = [[int(((spoof == a) & (called == b)).sum()) for b in (0, 1)] for a in (0, 1)]
    right = [row[a] / max(1, sum(row)) for a, row in enumerate(confusion)]
    files, inverse = np.unique(owner, return_inverse=True)
    of_file = np.zeros(len(files), int)
    of_file[inverse] = spoof
    return {
        "accuracy": float((called == spoof).mean()), "accuracy of bona fide": right[0],
        "accuracy of spoof": right[1], "EER": metrics.eer(score, spoof)[0],
        "AUC": metrics.auc(score, spoof),
        "EER per file": metrics.eer(metrics.per_file(score, inverse, np.ones_like(score))[0], of_file)[0],
        "confusion": confusion,  # [bona fide, spoof] called [bona fide, spoof]
    }


def run(args, split, seed, data):
    """One training and its test; returns its part of the report."""
    files, clips, images, processor = data
    folder = args.out / f"{split}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    spoof = np.array([files[i].spoof for i in clips])
    test = tested(files, split, args.test_share, seed)
    for side, mask in (("training", ~test), ("test", test)):
        if len({f.spoof for f, m in zip(files, mask) if m}) < 2:
            raise SystemExit(f"split {split}, seed {seed}: the {side} side has not both classes; "
                             "it takes more voices, or another --test-share or seed")
    torch.manual_seed(seed)
    net = network(args).to(args.device)
    pixels = Pixels(images, processor, args.device)
    fit(args, net, pixels, np.flatnonzero(~test[clips]), spoof, folder, seed)
    net.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    rows = np.flatnonzero(test[clips])
    score = scores(net, pixels, rows, args.batch)
    voices = [{f.speaker for f, m in zip(files, mask) if m and f.speaker} for mask in (~test, test)]
    return {"split": split, "seed": seed, "training clips": int((~test[clips]).sum()),
            "test clips": len(rows), "test voices": len(voices[1]),
            "voices on both sides": len(voices[0] & voices[1]),
            **report(score, spoof[rows], clips[rows])}


def table(runs):
    """The runs as text, one column for each way of splitting, means over the seeds."""
    splits = list(dict.fromkeys(r["split"] for r in runs))
    lines = [f"{'':34}" + "".join(f"{s:>16}" for s in splits)]
    for key in [k for k in runs[0] if k not in ("split", "seed", "confusion")]:
        cells = []
        for s in splits:
            values = np.array([r[key] for r in runs if r["split"] == s], float)
            if isinstance(runs[0][key], int):
                cells.append(f"{values.mean():.0f}")
            elif key == "AUC":
                cells.append(f"{values.mean():.3f}")
            else:
                spread = f" ± {100 * values.std():.1f}" if len(values) > 1 else ""
                cells.append(f"{100 * values.mean():.1f}{spread} %")
        lines.append(f"{key:34}" + "".join(f"{c:>16}" for c in cells))
    for a, name in enumerate(("bona fide", "spoof")):
        cells = []
        for s in splits:
            counts = np.sum([r["confusion"][a] for r in runs if r["split"] == s], axis=0)
            cells.append(f"{counts[0]} / {counts[1]}")
        lines.append(f"{name + ' called bona fide / spoof':34}" + "".join(f"{c:>16}" for c in cells))
    return "\n".join(lines)


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    processor = processor_of(args)
    files = pictures.read_list(args.data)
    clips, images = pictures.draw_all(args, files, processor)
    data = files, clips, images, processor
    runs = [run(args, split, seed, data) for split in args.split for seed in args.seeds]
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    with open(args.out / "report.json", "w") as f:
        json.dump({"settings": settings, "runs": runs}, f, indent=1)
    print(table(runs))
    print(f"\nTo run it: bonafide model import {args.out / f'{args.split[-1]}-{args.seeds[0]}'}/model "
          + pictures.import_options(args))


if __name__ == "__main__":
    main()
