"""Trains the network on statistics (model.Statistics), in minutes on a CPU.

    python train_statistics.py --work WORK --name statistics

Measures every window of the training clips, of their resynthesised copies and of some degraded ones once, then trains
layers of neurons, each begun elsewhere, on windows drawn at random: some on clean ones alone, some on as many degraded
ones, and one that tells the clean ones from the degraded.  They become one layer.  A layer that tells fakes learns to
name their generators (data.fault where resynthesise.py made them) and the sources of bona fide clips too (data.origin),
which keeps it from leaning on a few of them.  Reads WORK/features and writes WORK/runs/<name>/final.pt, as train.py
does.  With --hold-out the harder folds of data.py are left out (folds.py).
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

VERDICT = len(models.LABELS)  # outputs that are kept, the first ones


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True)
    p.add_argument("--layers", type=int, default=2, help="of each kind")
    p.add_argument("--width", type=int, default=128, help="neurons a layer")
    p.add_argument("--gate", type=int, default=64, help="neurons of the layer that tells clean from degraded")
    p.add_argument("--doubt", type=float, default=3.0, help="nats that a window must look degraded by")
    p.add_argument("--steps", type=int, default=500, help="a layer")
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--decay", type=float, default=0.01)
    p.add_argument("--named", type=float, default=3.0, help="weight of naming where a clip comes from")
    p.add_argument("--forged", type=float, default=0.15, help="share of resynthesised windows among clean ones")
    p.add_argument("--copies", type=int, default=5, help="degraded copies that are used, the last ones")
    p.add_argument("--hold-out", action="store_true", help="leave the harder folds out")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--features", default="features", help="folder below --work")
    return p.parse_args()


def measured(features, clips):
    """(statistics [N, SIZE], labels [N, 2]) of the windows of `clips`, each (path, 1 if it is a fake, number of its
    origin)."""
    net, values, labels = models.Statistics(1), [], []
    for at in tqdm(range(0, len(clips), 50), desc="windows", mininterval=5):
        part = clips[at:at + 50]
        db, owner, _ = data.evaluation_windows(features, [{"path": path} for path, *_ in part])
        values.append(net.measure(data.image(db)))
        labels.append(torch.tensor([part[i][1:] for i in owner]))
    return torch.cat(values), torch.cat(labels)


def layer(width, outputs):
    hidden = torch.nn.Linear(models.Statistics.SIZE, width)
    return torch.nn.Sequential(hidden, torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(width, outputs))


def fitted(net, pools, loss_of, args, seed):
    """A layer, trained on pools: (share of a batch, normalised statistics, labels)."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=args.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    for _ in tqdm(range(args.steps), desc=f"layer {seed}", mininterval=5):
        drawn = [(x, y, torch.randint(len(y), (round(share * args.batch),))) for share, x, y in pools]
        x, y = torch.cat([x[i] for x, _, i in drawn]), torch.cat([y[i] for _, y, i in drawn])
        loss = loss_of(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def joined(groups, mean, scale):
    """One network of groups (layers, how many of their outputs are kept): the outputs of each group are the mean of its
    layers'."""
    nets = [net for group, _ in groups for net in group]
    whole = models.Statistics(sum(net[0].out_features for net in nets))
    whole.mean, whole.scale = mean, scale
    with torch.no_grad():
        whole.hidden.weight.copy_(torch.cat([net[0].weight for net in nets]))
        whole.hidden.bias.copy_(torch.cat([net[0].bias for net in nets]))
        answers = [torch.cat([net[3].weight[:kept] for net in group], 1) / len(group) for group, kept in groups]
        whole.answers.weight.copy_(torch.block_diag(*answers))
        whole.answers.bias.copy_(torch.cat([sum(net[3].bias[:kept] for net in group) / len(group)
                                            for group, kept in groups]))
    return whole.eval()


def main():
    args = arguments()
    torch.set_num_threads(1)
    rows = [r for r in data.read_manifest(args.work) if r["split"] == "train"]
    if args.hold_out:
        rows = data.without_folds(rows)
    clean, degraded, resynth = (data.Features(args.work / args.features / kind, "fine")
                                for kind in ("clean", "degraded", "resynth"))
    copies = train.read_copies(args.work, degraded)
    origins = sorted({data.origin(r) for r in rows} | {data.fault(path) for path in resynth.index})
    clips = [(r["path"], int(r["label"] == "fake"), origins.index(data.origin(r))) for r in rows]
    coded = [(copy, *labels) for path, *labels in clips for copy in copies[path][-args.copies:]]
    forgeries = train.read_copies(args.work, resynth, "resynth")
    faulty = [(copy, 1, origins.index(data.fault(copy))) for path, *_ in clips for copy in forgeries.get(path, [])]
    x, y = measured(clean, clips)
    mean, scale, far = x.mean(0), x.std(0), models.Statistics.FAR

    def normalised(x):
        return x.sub_(mean).div_(scale).clamp_(-far, far)

    def pool(share, x, y):
        return share, normalised(x), y

    known = pool(1 - args.forged, x, y)
    forged, other = pool(args.forged, *measured(resynth, faulty)), pool(0.5, *measured(degraded, coded))

    def verdict(logits, y):
        real_or_fake, origin = logits.split([VERDICT, len(origins)], 1)
        return (F.cross_entropy(real_or_fake, y[:, 0], label_smoothing=0.05)
                + args.named * F.cross_entropy(origin, y[:, 1], label_smoothing=0.05))

    def gate(logit, y):
        return F.binary_cross_entropy_with_logits(logit[:, 0], y)

    def layers(count, width, outputs, pools, loss_of, seed):
        found = []
        for seed in range(seed, seed + count):
            torch.manual_seed(seed)
            found.append(fitted(layer(width, outputs), pools, loss_of, args, seed))
        return found

    alone = [known, forged]
    both = [(share / 2, x, y) for share, x, y in alone] + [other]
    which = [(share, x, torch.full((len(x),), float(degraded))) for (share, x, _), degraded in zip(both, (0, 0, 1))]
    outputs = VERDICT + len(origins)
    net = joined([(layers(args.layers, args.width, outputs, alone, verdict, args.seed), VERDICT),
                  (layers(args.layers, args.width, outputs, both, verdict, args.seed + args.layers), VERDICT),
                  (layers(1, args.gate, 1, which, gate, args.seed + 2 * args.layers), 1)], mean, scale)
    with torch.no_grad():
        net.answers.bias[-1] -= args.doubt  # the gate's answer
    run = args.work / "runs" / args.name
    run.mkdir(parents=True, exist_ok=True)
    torch.save({"model": f"statistics-{net.hidden.out_features}", "bank": "fine", "hold_out": args.hold_out,
                "n_aux": 0, "step": args.steps, "weights": net.state_dict()}, run / "final.pt")


if __name__ == "__main__":
    main()
