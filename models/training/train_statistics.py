"""Trains the network on statistics (model.Statistics), in minutes on a CPU.

    python train_statistics.py --work WORK --name statistics

Measures every window of the training clips and of some degraded copies once, then trains some layers of
neurons, each begun elsewhere, on windows drawn at random, nine tenths of them undegraded, and joins them to one
network whose logits are their mean.  Reads WORK/features and writes WORK/runs/<name>/final.pt, as train.py does.  With --hold-out the
harder folds of data.py are left out (folds.py).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

import data
import model as models
import train


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True)
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--width", type=int, default=256, help="neurons a layer")
    p.add_argument("--steps", type=int, default=500, help="a layer")
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--decay", type=float, default=0.01)
    p.add_argument("--clean-share", type=float, default=0.9, help="of undegraded windows")
    p.add_argument("--copies", type=int, default=5, help="degraded copies that are used, the last ones")
    p.add_argument("--hold-out", action="store_true", help="leave the harder folds out")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--features", default="features", help="folder below --work")
    return p.parse_args()


def measured(features, clips):
    """(statistics [N, SIZE], labels [N]) of the windows of `clips`: (path, 1 if it is a fake)."""
    net, values, labels = models.Statistics(1), [], []
    for at in tqdm(range(0, len(clips), 50), desc="windows", mininterval=5):
        part = clips[at:at + 50]
        db, owner, _ = data.evaluation_windows(features, [{"path": path} for path, _ in part])
        values.append(net.measure(data.image(db)))
        labels.append(torch.tensor([part[i][1] for i in owner]))
    return torch.cat(values), torch.cat(labels)


def fitted(pools, mean, scale, args, seed):
    """One layer, trained on pools: (share of a batch, statistics, labels)."""
    torch.manual_seed(seed)
    net = models.Statistics(args.width)
    net.mean, net.scale = mean, scale
    optimizer = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=args.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    for _ in tqdm(range(args.steps), desc=f"layer {seed}", mininterval=5):
        drawn = [(x, y, torch.randint(len(y), (round(share * args.batch),))) for share, x, y in pools]
        x, y = torch.cat([x[i] for x, _, i in drawn]), torch.cat([y[i] for _, y, i in drawn])
        loss = F.cross_entropy(net.judge(x), y, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def joined(nets):
    """One network whose logits are the mean of those of `nets`."""
    whole = models.Statistics(sum(net.hidden.out_features for net in nets))
    whole.mean, whole.scale = nets[0].mean, nets[0].scale
    with torch.no_grad():
        whole.hidden.weight.copy_(torch.cat([net.hidden.weight for net in nets]))
        whole.hidden.bias.copy_(torch.cat([net.hidden.bias for net in nets]))
        whole.verdict.weight.copy_(torch.cat([net.verdict.weight for net in nets], 1) / len(nets))
        whole.verdict.bias.copy_(sum(net.verdict.bias for net in nets) / len(nets))
    return whole.eval()


def main():
    args = arguments()
    torch.set_num_threads(1)
    rows = [r for r in data.read_manifest(args.work) if r["split"] == "train"]
    if args.hold_out:
        rows = data.without_folds(rows)
    clean, degraded = (data.Features(args.work / args.features / kind, "fine") for kind in ("clean", "degraded"))
    copies = train.read_copies(args.work, degraded)
    clips = [(r["path"], int(r["label"] == "fake")) for r in rows]
    coded = [(copy, label) for path, label in clips for copy in copies[path][-args.copies:]]
    x, y = measured(clean, clips)
    pools = [(args.clean_share, x, y), (1 - args.clean_share, *measured(degraded, coded))]
    mean, scale = x.mean(0), x.std(0)
    net = joined([fitted(pools, mean, scale, args, args.seed + i) for i in range(args.layers)])
    run = args.work / "runs" / args.name
    run.mkdir(parents=True, exist_ok=True)
    torch.save({"model": f"statistics-{args.layers * args.width}", "bank": "fine", "hold_out": args.hold_out,
                "n_aux": 0, "step": args.steps, "weights": net.state_dict()}, run / "final.pt")


if __name__ == "__main__":
    main()
