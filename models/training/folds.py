"""Error rates of runs, and of their committee, on dev and on the harder folds.

    python train.py --work WORK --name h1 --bank mel --seed 11 --hold-out        # and h2, h3, ...
    python folds.py --work WORK --name h1 h2 h3

The runs must have left the folds out (`--hold-out`); one that is named twice has two votes.  Prints, for each, equal
error rate per window / per file and area under the curve per window / per file, in percent.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import data
import train


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True, nargs="+")
    args = p.parse_args()
    torch.set_num_threads(1)
    rows = data.read_manifest(args.work)
    runs = {name: train.load(args.work / "runs" / name, "cpu") for name in args.name}
    for name, net in runs.items():
        if not net.hold_out:
            raise SystemExit(f"{name} was trained on the folds; train it with --hold-out")
    # The speech gate is the first bank's for all, so that every run judges the same windows.
    scores = {name: {} for name in runs}
    for bank in data.BANKS:
        mine = {name: net for name, net in runs.items() if net.bank == bank}
        if mine:
            clean, degraded = (data.Features(args.work / "features" / kind, bank, False)
                               for kind in ("clean", "degraded"))
            copies = train.read_copies(args.work, degraded)
            sets = train.evaluation_sets(rows, clean, degraded, copies, True)
            for name, net in mine.items():
                scores[name] = {key: train.scores(net, db, "cpu") for key, (db, *_) in sets.items()}
    scores["committee"] = {key: np.mean([scores[name][key] for name in args.name], 0) for key in sets}
    for name, found in scores.items():
        print(name)
        for key, (_, *rest) in sets.items():
            eer_window, eer_file, auc_window, auc_file = train.rates(found[key], *rest)
            print(f"  {key:16} EER {eer_window:4.1f} / {eer_file:4.1f}   "
                  f"AUC {auc_window:4.1f} / {auc_file:4.1f}")


if __name__ == "__main__":
    main()
