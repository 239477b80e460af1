"""Draws the model card's plots from what `bonafide eval --scores` wrote.

    bonafide eval --split dev --scores scores.csv ../shared/corpus/manifest.csv
    python models/training/plots.py scores.csv ../shared/corpus/manifest.csv --out models/plots

Writes det.png (detection error trade-off), reliability.png (calibration) and histograms.png (files'
scores by family of generators and by source).  Scores are log-likelihood ratios in nats, spoof
positive; a file's is the integrated one, the verdict that the product shows."""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image
from scipy.stats import norm

from metrics import ece, eer

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the back end comes first)

# Okabe and Ito's palette: told apart with any kind of colour vision, and by lightness in print.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
SPOOF_LABELS = {"spoof", "fake"}
DOTTED = (0, (2, 3))
LEAST_FILES = 3  # families and sources with fewer share one row
plt.rcParams.update({
    "figure.dpi": 150, "figure.facecolor": "white", "savefig.facecolor": "white",
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 11, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.titlepad": 12, "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": "#444444", "axes.labelcolor": "#222222",
    "axes.linewidth": 0.8, "grid.color": "#DDDDDD", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False, "xtick.color": "#444444", "ytick.color": "#444444",
})


def read_scores(path):
    """({file: (is spoof, file's score)}, windows' scores, windows' labels), without unscored ones."""
    files, scores, labels = {}, [], []
    with open(path, newline="") as f:
        for row in csv.DictReader(f):
            spoof, score = row["label"] in SPOOF_LABELS, float(row["llr"])
            file_score = float(row["file_llr"])
            if np.isfinite(file_score):
                files[row["path"]] = (spoof, file_score)
            if np.isfinite(score):
                scores.append(score)
                labels.append(spoof)
    return files, np.array(scores), np.array(labels, int)


def det_points(scores, labels):
    """(false alarm rates, miss rates) at every threshold between the scores."""
    real, fake = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    cuts = np.unique(scores)
    alarms = 1 - np.searchsorted(real, cuts, "left") / len(real)
    misses = np.searchsorted(fake, cuts, "left") / len(fake)
    return alarms, misses


def draw_det(trials, path):
    """Martin et al., Eurospeech 1997: both axes in normal deviates, a Gaussian pair is a line."""
    figure, axes = plt.subplots(figsize=(5.6, 5.6), layout="constrained")
    ticks = np.array([0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95]) / 100
    low, high = norm.ppf(0.004), norm.ppf(0.96)
    axes.plot([low, high], [low, high], color=GREY, lw=0.8, ls=DOTTED)
    for allowed in (0.01, 0.05):
        axes.axvline(norm.ppf(allowed), color=GREY, lw=0.8, ls=DOTTED)
        axes.text(norm.ppf(allowed), norm.ppf(0.012), f"{100 * allowed:.0f} % alarms", color=GREY,
                  fontsize=8, rotation=90, ha="right", va="bottom")
    for name, scores, labels, colour, style in trials:
        alarms, misses = det_points(scores, labels)
        inside = (alarms > 0) & (misses > 0)
        rate, _ = eer(scores, labels)
        axes.plot(norm.ppf(alarms[inside]), norm.ppf(misses[inside]), color=colour, ls=style, lw=1.8,
                  label=f"{name} ({(labels == 0).sum()} bona fide, {labels.sum()} spoof)")
        axes.plot(norm.ppf(rate), norm.ppf(rate), "o", color=colour, ms=7, mec="white", mew=1.2, zorder=5)
        first = colour == trials[0][3]
        axes.annotate(f"EER {100 * rate:.1f} %", (norm.ppf(rate), norm.ppf(rate)), color=colour,
                      fontweight="bold", ha="left" if first else "right", va="center",
                      xytext=(9, 5) if first else (-9, -5), textcoords="offset points",
                      bbox=dict(facecolor="white", edgecolor="none", pad=1))
        for allowed in (0.01, 0.05):
            here = norm.ppf(np.interp(-allowed, -alarms, misses))
            axes.plot(norm.ppf(allowed), here, "s", color=colour, ms=4.5, mec="white", zorder=5)
    named = [f"{100 * t:g}" for t in ticks]
    axes.set_xticks(norm.ppf(ticks), named)
    axes.set_yticks(norm.ppf(ticks), named)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", title="Detection error trade-off",
             xlabel="false alarms: bona fide called spoof (%)", ylabel="misses: spoof called bona fide (%)")
    axes.grid(True)
    axes.legend(loc="upper right", fontsize=8.5, frameon=True, framealpha=1, edgecolor="none")
    save(figure, path)


def draw_reliability(trials, path):
    """Share of spoofs among those scored alike, classes weighted equally, with the counts below."""
    figure, axes = plt.subplots(2, len(trials), figsize=(7.2, 4.4), sharex=True, layout="constrained",
                                height_ratios=[3, 1], squeeze=False)
    edges = np.linspace(0, 1, 11)
    for column, (name, scores, labels, colour, _) in enumerate(trials):
        scores = np.clip(scores, -np.log(99), np.log(99))  # as the product: 1 to 99 %
        p = 1 / (1 + np.exp(-scores))
        weight = np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (1 - labels).sum())
        which = np.minimum((p * 10).astype(int), 9)
        top, bottom = axes[:, column]
        top.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=DOTTED)
        points = []
        for b in range(10):
            inside = which == b
            if inside.any():
                total, spoof = weight[inside].sum(), weight[inside & (labels == 1)].sum()
                share, n = spoof / total, inside.sum()
                points.append((np.average(p[inside], weights=weight[inside]), share, n))
        said, share, counts = np.array(points).T
        # Wilson's interval, as if windows were independent (they overlap: it is wider in truth).
        z2 = 1.96**2
        middle = (share + z2 / 2 / counts) / (1 + z2 / counts)
        half = np.sqrt(z2 * share * (1 - share) / counts + z2 * z2 / 4 / counts**2) / (1 + z2 / counts)
        top.vlines(said, middle - half, middle + half, color=colour, lw=1.2, alpha=0.55)
        top.plot(said, share, "o-", color=colour, ms=5, lw=1.4, mec="white", clip_on=False, zorder=5)
        top.text(0.04, 0.94, f"ECE {ece(scores, labels):.3f}", transform=top.transAxes, va="top",
                 fontweight="bold", color=colour)
        top.set_title(name, fontsize=9.5, pad=6)
        top.set(xlim=(0, 1), ylim=(0, 1))
        bottom.hist([p[labels == 0], p[labels == 1]], edges, stacked=True, color=[BLUE, ORANGE],
                    label=["bona fide", "spoof"], edgecolor="white", linewidth=0.6)
        bottom.set(xlabel="probability of spoof said")
        for each in (top, bottom):
            each.grid(True, axis="y")
    axes[0, 0].set_ylabel("share of spoof found")
    axes[1, 0].set_ylabel("trials")
    axes[1, -1].legend(fontsize=8, ncols=2, loc="upper right", bbox_to_anchor=(1.01, 1.32),
                       handlelength=1, columnspacing=1)
    figure.suptitle("Reliability", x=0.012, ha="left", fontweight="bold", fontsize=11)
    save(figure, path)


def family(row):
    """The first word of a generator's tag; bona fide files go by where they come from."""
    if row["label"] in SPOOF_LABELS:
        return row["generator"].split("+")[0].split("-")[0] or "(untagged)"
    return row["source_repo"].split("/")[-1] or "(unknown)"


def grouped(files, manifest, root):
    """[(name, is spoof, scores)], bona fide first, each class from its lowest median upwards."""
    groups = defaultdict(list)
    with open(manifest, newline="") as f:
        for row in csv.DictReader(f):
            known = files.get(str(root / row["path"]))
            if known:
                groups[known[0], family(row)].append(known[1])
    for spoof in (False, True):
        few = [key for key, scores in groups.items() if key[0] == spoof and len(scores) < LEAST_FILES]
        if len(few) > 1:
            groups[spoof, f"{len(few)} others"] = [score for key in few for score in groups.pop(key)]
    listed = [(name, spoof, np.array(scores)) for (spoof, name), scores in groups.items()]
    return sorted(listed, key=lambda group: (group[1], np.median(group[2])))


def draw_histograms(groups, threshold, path):
    """A histogram a row, each to its own height, with the share beyond the threshold."""
    everything = np.concatenate([scores for _, _, scores in groups])
    edges = np.arange(np.floor(everything.min()), np.ceil(everything.max()) + 0.1, 0.25)
    classes = [[group for group in groups if group[1] == spoof] for spoof in (False, True)]
    classes = [each for each in classes if each]
    figure, panels = plt.subplots(
        len(classes), figsize=(7.2, 1.5 + 0.31 * len(groups)), sharex=True, layout="constrained",
        height_ratios=[len(each) + 0.5 for each in classes], squeeze=False)
    for axes, rows in zip(panels[:, 0], classes):
        spoof = rows[0][1]
        for at, (name, _, scores) in enumerate(reversed(rows)):
            counts, _ = np.histogram(scores, edges)
            axes.bar(edges[:-1], 0.8 * counts / counts.max(), np.diff(edges), at, align="edge", lw=0.5,
                     color=ORANGE if spoof else BLUE, edgecolor="white", zorder=2)
            axes.axhline(at, color="#AAAAAA", lw=0.6, zorder=3)
            wrong = (scores < threshold).mean() if spoof else (scores >= threshold).mean()
            axes.text(1.01, at + 0.12, f"{100 * wrong:.0f} % of {len(scores)}", fontsize=8,
                      transform=axes.get_yaxis_transform(), color="#222222" if wrong else GREY)
        axes.axvline(threshold, color="#222222", lw=0.9, ls=(0, (3, 2)), zorder=4)
        axes.set_yticks(np.arange(len(rows)) + 0.2, [name for name, _, _ in reversed(rows)], fontsize=8.5)
        axes.tick_params(axis="both", length=0)
        axes.set(xlim=edges[[0, -1]], ylim=(-0.02, len(rows) + 0.1))
        axes.set_title("Spoof files, by family of generators" if spoof else "Bona fide files, by source",
                       pad=6, color=ORANGE if spoof else BLUE)
        axes.text(1.01, 1, "missed" if spoof else "false alarms", transform=axes.transAxes, fontsize=8,
                  va="bottom", color=GREY)
        axes.grid(True, axis="x")
        axes.spines[["left", "bottom"]].set_visible(False)
    panels[-1, 0].set_xlabel("integrated log-likelihood ratio (nats):   \u2190 bona fide      spoof \u2192")
    save(figure, path)


def save(figure, path):
    """Few colours make a small file."""
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    picture.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    plt.close(figure)
    print(f"{path}: {path.stat().st_size // 1024} kB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scores", type=Path, help="CSV file that `bonafide eval --scores` wrote")
    parser.add_argument("manifest", type=Path, help="the manifest that was evaluated")
    parser.add_argument("--root", type=Path, help="as given to eval; default: the manifest's folder")
    parser.add_argument("--threshold", type=float, default=0.5, help="the model's, a probability")
    parser.add_argument("--out", type=Path, default=Path("models/plots"))
    args = parser.parse_args()
    files, scores, labels = read_scores(args.scores)
    truths, verdicts = np.array(list(files.values())).T
    trials = [("per 2-s window", scores, labels, BLUE, "-"),
              ("per file", verdicts, truths.astype(int), ORANGE, (0, (5, 1.5)))]
    args.out.mkdir(parents=True, exist_ok=True)
    draw_det(trials, args.out / "det.png")
    draw_reliability(trials, args.out / "reliability.png")
    groups = grouped(files, args.manifest, args.root or args.manifest.parent)
    if not groups:
        parser.error(f"no path of {args.scores} is in {args.manifest}: give eval's --root, and run both "
                     "with the same path to the manifest")
    logit = float(np.log(args.threshold / (1 - args.threshold)))
    draw_histograms(groups, logit, args.out / "histograms.png")


if __name__ == "__main__":
    main()
