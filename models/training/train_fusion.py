"""Trains what brings judged networks together (model.Fused): in minutes on a CPU.

    python train_fusion.py --work WORK --name fused --members small-linear-judged statistics statistics delay-judged

First a layer that tells what has happened to a window, from what model.Statistics measures of it: the training clips and
their copies with one degradation each (augment.SINGLE), one condition a kind.  It never sees which clips are fakes.
Then, on dev's windows as they are and on those of its copies, logistic regression on the members' answers: in each
condition a weight for each answer and an offset, all windows of a class and kind weighing one, those as they are CLEAN.
The weights are drawn to equal ones (to the clean answers alone where nothing has happened; a member named twice counts
twice), the offsets to 0, as dev has few clips.  Reads WORK/features, writes WORK/runs/<name>/final.pt.  With --hold-out
members that left the harder folds out are taken, and the layer leaves them out too (folds.py).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import augment
import data
import metrics
import model as models
import train
import train_judge

CLEAN = 3.0


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True)
    p.add_argument("--members", nargs="+", required=True, help="runs of train_judge.py, statistics among them")
    train_judge.fitting(p, 800)
    p.add_argument("--doubt", type=float, default=2.0, help="nats by which anything must be likelier than nothing")
    p.add_argument("--drawn", type=float, default=0.03, help="how much weights are drawn to equal ones")
    p.add_argument("--hold-out", action="store_true", help="the members left the harder folds out")
    p.add_argument("--seed", type=int, default=11)
    p.add_argument("--features", default="features", help="folder below --work")
    return p.parse_args()


def listening(net, pools, args):
    """Trains the layer that tells conditions: pools of features as the listener gives them, one a condition."""
    def loss(net, x, y):
        return F.cross_entropy(net(x), y)

    share = 1 / len(pools)
    pools = [(share, x, torch.full((len(x),), condition)) for condition, x in enumerate(pools)]
    train_judge.fitted(net.condition, pools, loss, args, args.seed)
    with torch.no_grad():
        net.condition[-1].bias[0] += args.doubt
    net.eval()


def heard(net, rows, sets):
    """(answers [N, 2 members], probabilities of conditions [N, K], labels [N], weight [N]) of the windows of each of
    `sets`, (features, paths of rows' clips), as lists: windows of a class and set weigh one, those of the first CLEAN."""
    fake = np.array([r["label"] == "fake" for r in rows])
    found = []
    for store, paths in sets:
        db, owner, _ = data.evaluation_windows(store, [{"path": path} for path in paths])
        with torch.no_grad():
            answers, conditions = map(torch.cat, zip(*(net.listen(x) for x in data.image(db).split(64))))
        labels = torch.from_numpy(fake[owner]).float()
        weight = torch.where(labels == 1, 1 / labels.sum(), 1 / (1 - labels).sum()) * (1 if found else CLEAN)
        found.append((answers, conditions, labels, weight))
    return [list(values) for values in zip(*found)]


def equal(votes, answers, labels, kinds):
    """The weights [1 + kinds, answers] that the regression's are drawn to, by votes [members]: of the clean answers alone
    where nothing has happened, else of both; times what calibrates the clean `answers` [N, 2 members] to `labels` [N]."""
    votes = votes / votes.sum()
    alone, both = (torch.stack(pair, 1).flatten() for pair in ((votes, 0 * votes), (votes / 2, votes / 2)))
    slope, _ = metrics.platt((answers @ alone).double().numpy(), labels.numpy())
    return slope * torch.stack([alone] + kinds * [both])


def regressed(answers, conditions, labels, weight, first, drawn):
    """(weight [K, answers], bias [K]) by logistic regression on answers [N, answers], conditions [N, K] and labels [N],
    windows weighing `weight` [N]; drawn to the weights `first`."""
    answers, conditions, first = answers.double(), conditions.double(), first.double()
    x = torch.cat([(conditions[:, :, None] * answers[:, None]).flatten(1), conditions], 1)
    count = first.numel()
    found = torch.cat([first.flatten(), torch.zeros(len(first))]).double().requires_grad_()
    optimizer = torch.optim.LBFGS([found], max_iter=500, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        apart = (found[:count] - first.flatten()).square().sum() + 0.1 * found[count:].square().sum()
        wrong = F.binary_cross_entropy_with_logits(x @ found, labels.double(), reduction="none")
        loss = (weight * wrong).sum() / weight.sum() + drawn / len(first) * apart
        loss.backward()
        return loss

    optimizer.step(loss)
    found = found.detach().float()
    return found[:count].view(first.shape), found[count:]


def main():
    args = arguments()
    torch.set_num_threads(1)
    names = list(dict.fromkeys(args.members))
    saved = [torch.load(args.work / "runs" / name / "final.pt", map_location="cpu") for name in names]
    members = [train.load(args.work / "runs" / name, "cpu") for name in names]
    if any(net.hold_out != args.hold_out for net in members):
        raise SystemExit("the members must all have left the folds out with --hold-out, and none without")
    kinds = list(augment.SINGLE)
    torch.manual_seed(args.seed)  # of the layer that listens, and of the windows that it is shown
    net = models.Fused(members, len(kinds))
    listener = members[net.listener]
    rows = data.read_manifest(args.work)
    clips = [r for r in rows if r["split"] == "train"]
    if args.hold_out:
        clips = data.without_folds(clips)
    dev = [r for r in rows if r["split"] == "dev"]
    clean, single = (data.Features(args.work / args.features / kind, net.bank, False) for kind in ("clean", "single"))

    listed = train.read_copies(args.work, single, "single")
    copy = {(clip, data.fault(path)): path for clip, paths in listed.items() for path in paths}

    def copies(rows):
        """[(features, paths of the copies of rows)], a condition each."""
        clips = [r["path"] for r in rows]
        return [(clean, clips)] + [(single, [copy[clip, kind] for clip in clips]) for kind in kinds]

    with torch.no_grad():
        pools = [train_judge.measured(listener, store, [(path, 0, 0, "") for path in paths])[0]
                 for store, paths in copies(clips)]
    listening(net, pools, args)

    answers, conditions, labels, weight = heard(net, dev, copies(dev))
    votes = torch.tensor([float(args.members.count(name)) for name in names])
    first = equal(votes, answers[0], labels[0], len(kinds))
    found = regressed(*map(torch.cat, (answers, conditions, labels, weight)), first, args.drawn)
    net.weight.copy_(found[0])
    net.bias.copy_(found[1])
    for number, (kind, weights, bias) in enumerate(zip(["as it is", *kinds], *found)):
        print(f"{kind:9} of dev {100 * conditions[number][:, number].mean():3.0f} % taken for it; weights "
              f"{' '.join(f'{value:5.2f}' for value in weights)}, offset {bias:5.2f}")
    run = args.work / "runs" / args.name
    run.mkdir(parents=True, exist_ok=True)
    described = [{key: value for key, value in member.items() if key != "weights"} for member in saved]
    torch.save(dict(members=described, conditions=len(kinds), hold_out=args.hold_out, weights=net.state_dict()),
               run / "final.pt")


if __name__ == "__main__":
    main()
