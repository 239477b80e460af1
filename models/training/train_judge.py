"""Trains the layer of neurons that judges what a network measures (model.Judged), in minutes on a CPU.

    python train_judge.py --work WORK --name statistics                        # of model.Statistics
    python train_judge.py --work WORK --name delay-judged --body delay         # of a run of train.py, less its head

Measures every window of the training clips, of their resynthesised copies and of degraded ones once, then trains
layers of neurons, each begun elsewhere, on windows drawn at random: half of them on clean ones alone, half on as many
degraded ones too, through whole chains and by one degradation each.  They become one layer.  Reads WORK/features and
writes WORK/runs/<name>/final.pt, as train.py does.  With --hold-out the harder folds of data.py are left out (folds.py).

Loss = cross-entropy with label smoothing (0.05)
     + 3 x cross-entropy over the generators of fakes (data.fault where resynthesise.py made them) and the sources of
       bona fide clips (data.origin), which keeps it from leaning on a few of them;
     + 0.3 x ln(1 + exp(bona fide - fake)) of the scores of two windows of one pair, the same sentence by a person and
       by a machine (RankNet, Burges et al., ICML 2005): what pairs have in common, room and rate, says nothing.
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
COMPARED = 128  # pairs of windows a step


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True)
    p.add_argument("--body", help="name of a finished run of train.py; without it, model.Statistics")
    p.add_argument("--layers", type=int, default=2, help="for clean sound, and as many for degraded sound")
    p.add_argument("--width", type=int, default=128, help="neurons a layer")
    fitting(p, 500)
    p.add_argument("--named", type=float, default=3.0, help="weight of naming where a clip comes from")
    p.add_argument("--ranked", type=float, default=0.3, help="weight of telling a pair apart")
    p.add_argument("--forged", type=float, default=0.15, help="share of resynthesised windows among clean ones")
    p.add_argument("--copies", type=int, default=5, help="copies through chains that are used, the last ones")
    p.add_argument("--hold-out", action="store_true", help="leave the harder folds out")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--features", default="features", help="folder below --work")
    return p.parse_args()


def fitting(p, steps):
    """Adds the options that `fitted` takes; steps: how many by default."""
    p.add_argument("--steps", type=int, default=steps, help="a layer")
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--decay", type=float, default=0.01)


def bodied(args):
    """(what is saved of the network that measures, the network)."""
    if args.body is None:
        kept, net = dict(model="statistics", bank="fine", n_aux=0), models.build("statistics")
    else:
        folder = args.work / "runs" / args.body
        saved, net = torch.load(folder / "final.pt", map_location="cpu"), train.load(folder, "cpu")
        kept = {key: saved[key] for key in ("model", "bank", "n_aux")}
        if net.hold_out != args.hold_out:
            raise SystemExit(f"{args.body} was trained {'without' if net.hold_out else 'on'} the folds, which this run "
                             "must do too (--hold-out)")
    return kept, net


@torch.no_grad()
def measured(net, features, clips):
    """(features [N, size], labels [N, 2], pair of each window [N]) of the windows of `clips`, each (path, 1 if it is a
    fake, number of its origin, its pair's name or "")."""
    values, owners = [], []
    for at in tqdm(range(0, len(clips), 50), desc="windows", mininterval=5):
        db, owner, _ = data.evaluation_windows(features, [{"path": path} for path, *_ in clips[at:at + 50]])
        values += [net.measure(x) for x in data.image(db).split(64)]
        owners.append(at + owner)
    whose = [clips[i] for i in np.concatenate(owners)]
    return torch.cat(values), torch.tensor([clip[1:3] for clip in whose]), [clip[3] for clip in whose]


class Pairs:
    """Windows of one sentence, by a person and by a machine, drawn at random."""

    def __init__(self, x, labels, names):
        members = {}
        for i, (fake, name) in enumerate(zip(labels[:, 0].tolist(), names)):
            if name:
                members.setdefault(name, ([], []))[fake].append(i)
        groups = [both for both in members.values() if all(both)]
        self.x = x
        self.windows = [torch.tensor(sum((both[fake] for both in groups), [])) for fake in (0, 1)]
        self.count = torch.tensor([[len(both[fake]) for both in groups] for fake in (0, 1)])
        self.first = self.count.cumsum(1) - self.count

    def loss(self, net):
        """ln(1 + exp(bona fide - fake)) in the mean of COMPARED pairs; 0 where there are none."""
        if not self.count.numel():
            return 0.0
        group = torch.randint(self.count.shape[1], (COMPARED,))
        drawn = self.first[:, group] + (torch.rand(2, COMPARED) * self.count[:, group]).long()
        logits = net(self.x[torch.cat([windows[i] for windows, i in zip(self.windows, drawn)])])
        bona_fide, fake = (logits[:, 1] - logits[:, 0]).split(COMPARED)
        return F.softplus(bona_fide - fake).mean()


def layer(features, width, outputs):
    return torch.nn.Sequential(torch.nn.Linear(features, width), torch.nn.ReLU(), torch.nn.Dropout(0.5),
                               torch.nn.Linear(width, outputs))


def fitted(net, pools, loss_of, args, seed):
    """A layer, trained on pools: (share of a batch, normalised features, labels)."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=args.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    for _ in tqdm(range(args.steps), desc=f"layer {seed}", mininterval=5):
        drawn = [(x, y, torch.randint(len(y), (round(share * args.batch),))) for share, x, y in pools]
        x, y = torch.cat([x[i] for x, _, i in drawn]), torch.cat([y[i] for _, y, i in drawn])
        loss = loss_of(net, x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def joined(body, groups, mean, scale):
    """One network of groups of layers, whose answers are the mean of their group's."""
    nets = sum(groups, [])
    whole = models.Judged(body, len(mean), sum(net[0].out_features for net in nets))
    whole.mean, whole.scale = mean, scale

    def difference(values):  # of logits: spoof - bona fide
        return (values[1] - values[0])[None]

    with torch.no_grad():
        whole.hidden.weight.copy_(torch.cat([net[0].weight for net in nets]))
        whole.hidden.bias.copy_(torch.cat([net[0].bias for net in nets]))
        answers = [torch.cat([difference(net[3].weight) for net in group], 1) / len(group) for group in groups]
        whole.answers.weight.copy_(torch.block_diag(*answers))
        whole.answers.bias.copy_(torch.cat([sum(difference(net[3].bias) for net in group) / len(group)
                                            for group in groups]))
    return whole.eval()


def main():
    args = arguments()
    torch.set_num_threads(1)
    kept, body = bodied(args)
    rows = [r for r in data.read_manifest(args.work) if r["split"] == "train"]
    if args.hold_out:
        rows = data.without_folds(rows)
    clean, degraded, single, resynth = (data.Features(args.work / args.features / kind, kept["bank"], False)
                                        for kind in ("clean", "degraded", "single", "resynth"))
    copies, alone = train.read_copies(args.work, degraded), train.read_copies(args.work, single, "single")
    origins = sorted({data.origin(r) for r in rows} | {data.fault(path) for path in resynth.index})
    clips = [(r["path"], int(r["label"] == "fake"), origins.index(data.origin(r)), r["pair_id"]) for r in rows]
    worse = ((degraded, [(copy, *labels) for path, *labels in clips for copy in copies[path][-args.copies:]]),
             (single, [(copy, *labels) for path, *labels in clips for copy in alone[path]]))
    forgeries = train.read_copies(args.work, resynth, "resynth")
    faulty = [(copy, 1, origins.index(data.fault(copy)), "") for path, *_ in clips for copy in forgeries.get(path, [])]
    x, y, pairs = measured(body, clean, clips)
    mean, scale, far = x.mean(0), x.std(0) + 1e-4, models.Judged.FAR

    def normalised(x):
        return x.sub_(mean).div_(scale).clamp_(-far, far)

    pairs = Pairs(normalised(x), y, pairs)
    known = 1 - args.forged, x, y
    fakes, of_fakes, _ = measured(body, resynth, faulty)
    forged = args.forged, normalised(fakes), of_fakes
    other, of_other, other_pairs = zip(*(measured(body, *some) for some in worse))
    chains = len(of_other[0])
    other, of_other = normalised(torch.cat(other)), torch.cat(of_other)
    other_pairs = Pairs(other, of_other, sum(other_pairs, []))
    others = [(0.25, other[some], of_other[some]) for some in (slice(chains), slice(chains, None))]

    def verdict(pairs):
        def loss(net, x, y):
            real_or_fake, origin = net(x).split([VERDICT, len(origins)], 1)
            return (F.cross_entropy(real_or_fake, y[:, 0], label_smoothing=0.05)
                    + args.named * F.cross_entropy(origin, y[:, 1], label_smoothing=0.05)
                    + args.ranked * pairs.loss(net))
        return loss

    def layers(pools, loss_of, seed):
        found = []
        for seed in range(seed, seed + args.layers):
            torch.manual_seed(seed)
            found.append(fitted(layer(len(mean), args.width, VERDICT + len(origins)), pools, loss_of, args, seed))
        return found

    alone = [known, forged]
    both = [(share / 2, x, y) for share, x, y in alone] + others
    net = joined(body, [layers(alone, verdict(pairs), args.seed),
                        layers(both, verdict(other_pairs), args.seed + args.layers)], mean, scale)
    run = args.work / "runs" / args.name
    run.mkdir(parents=True, exist_ok=True)
    torch.save(dict(kept, judge=(len(mean), net.hidden.out_features), hold_out=args.hold_out, step=args.steps,
                    weights=net.state_dict()), run / "final.pt")


if __name__ == "__main__":
    main()
