"""Trains a residual network, a ConvNeXt or one with delays; resumable; the same script on a CPU and on a GPU.

    python train.py --work WORK --name member-1 --bank linear --seed 1
    python train.py --work WORK --name convnext --bank linear --model tiny --teacher member-1
    python train.py --work WORK --name delay --bank fine --model delay --mixup 0 --strength 0 --ramp 0 ...   # run.py

Reads WORK/features/clean, degraded and noise (see data.py), writes WORK/runs/<name>/
last.pt (to resume) and best.pt / final.pt (averaged weights).  Started again with the same name
it goes on from last.pt.

Loss = cross-entropy with label smoothing (0.05) on the mixed-up labels
     + 0.3 x cross-entropy over generator tags (fakes only; gets a ConvNeXt off the ground)
     + distillation: KL divergence to the mean softened output of the teachers, same input, and
       the relative squared error of the first teacher's pooled features (from a linear layer).
Evaluation: dev and (with --hold-out) the harder folds of data.py that training then leaves out.
"""

import argparse
import copy
import csv
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

import data
import fastcpu
import metrics
import model as models


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True)
    p.add_argument("--model", default="resnet", choices=[*models.RESNET, *models.CONVNEXT, "delay"])
    p.add_argument("--bank", required=True, choices=["mel", "linear", "fine"], help="what it looks at")
    p.add_argument("--teacher", nargs="*", default=[], help="names of finished runs of the same bank")
    p.add_argument("--start-from", help="name of a run whose weights to begin with")
    p.add_argument("--steps", type=int, default=900)
    p.add_argument("--minutes", type=float, default=1e9, help="end (and cool down) by then")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--decay", type=float, default=0.05)
    p.add_argument("--mixup", type=float, default=0.3, help="share of batches")
    p.add_argument("--strength", type=float, default=0.4, help="of the on-the-fly augmentation")
    p.add_argument("--noisy", type=float, default=0.4, help="share of windows mixed with noise or music")
    p.add_argument("--ramp", type=float, default=0.4, help="share of the run that starts gently")
    p.add_argument("--clean-share", type=float, default=0.35, help="of undegraded clips")
    p.add_argument("--same-source", type=float, default=0.6, help="share of same-source pairs")
    p.add_argument("--distil", type=float, default=0.6, help="weight of the teachers' loss")
    p.add_argument("--hint", type=float, default=0.5, help="weight of the teacher's features")
    p.add_argument("--average", type=float, default=0.997, help="decay of the weight average")
    p.add_argument("--hold-out", action="store_true", help="leave the harder folds out")
    p.add_argument("--evaluate-every", type=int, default=300)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--features", default="features", help="folder below --work")
    return p.parse_args()


def has_bfloat16(device):
    """Whether the machine computes in bfloat16; where it doesn't, that is some thirty times slower."""
    return device != "cpu" or torch.cpu._is_avx512_bf16_supported()


def low_precision(device):
    return torch.autocast(device, torch.bfloat16, enabled=has_bfloat16(device))


def load(folder, device, file="final.pt"):
    """A finished run: network in evaluation mode."""
    saved = torch.load(folder / file, map_location=device)
    net = models.described(saved)
    net.load_state_dict(saved["weights"])
    net.hold_out = saved["hold_out"]
    return net.eval().to(device, memory_format=torch.channels_last)


@torch.no_grad()
def scores(net, db, device, size=64):
    """logit_spoof - logit_bonafide of each window, float64 [N]."""
    net.eval()
    out = []
    for at in range(0, len(db), size):
        x = data.image(db[at:at + size]).to(device).contiguous(memory_format=torch.channels_last)
        logits, _ = net(x)
        out.append((logits[:, 1] - logits[:, 0]).cpu())
    return torch.cat(out).double().numpy()


def rates(s, owner, speech, labels):
    """(EER per window, EER per file, AUC per window, AUC per file) in percent, of windows' scores."""
    files, numbers = metrics.per_file(s, owner, speech)
    return tuple(100 * value for value in (
        metrics.eer(s, labels[owner])[0], metrics.eer(files, labels[numbers])[0],
        metrics.auc(s, labels[owner]), metrics.auc(files, labels[numbers])))


def evaluate(net, sets, device):
    """{set name: rates}."""
    return {name: rates(scores(net, db, device), *rest) for name, (db, *rest) in sets.items()}


def read_copies(work, features, folder="aug"):
    """{clip: its copies} of a folder that augment.py wrote, as far as `features` has them."""
    copies = {}
    with open(work / folder / "list.csv", newline="") as f:
        for r in csv.DictReader(f):
            if r["path"] in features.index:
                copies.setdefault(r["clip"], []).append(r["path"])
    return copies


def evaluation_sets(rows, clean, degraded, copies, hold_out):
    """{name: (dB of its windows, owner, seconds of speech, labels of its clips)}: dev and, if they
    are held out, the harder folds, undegraded and as their first degraded copies."""
    def fold(chosen, store, path=lambda r: r["path"]):
        windows = data.evaluation_windows(store, [{"path": path(r)} for r in chosen])
        return *windows, np.array([r["label"] == "fake" for r in chosen]).astype(int)

    sets = {"dev": fold([r for r in rows if r["split"] == "dev"], clean)}
    for name, sources in data.HARD_FOLDS.items() if hold_out else ():
        held = [r for r in rows if r["split"] == "train" and r["source_repo"] in sources]
        sets[name] = fold(held, clean)
        sets[name + "-degraded"] = fold(held, degraded, lambda r: copies[r["path"]][0])
    return sets


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device, run = args.device, args.work / "runs" / args.name
    run.mkdir(parents=True, exist_ok=True)
    rows = data.read_manifest(args.work)
    clean = data.Features(args.work / args.features / "clean", args.bank)
    degraded = data.Features(args.work / args.features / "degraded", args.bank)
    noise = data.Features(args.work / args.features / "noise", args.bank)
    copies = read_copies(args.work, degraded)
    train = [r for r in rows if r["split"] == "train"]
    tags = sorted({r["generator"] for r in train if r["label"] == "fake"})
    if args.hold_out:
        train = data.without_folds(train)
    sets = evaluation_sets(rows, clean, degraded, copies, args.hold_out)

    net = models.build(args.model, len(tags))
    net = net.to(device, memory_format=torch.channels_last)
    if args.start_from:
        net.load_state_dict(load(args.work / "runs" / args.start_from, device).state_dict())
    if device == "cpu" and has_bfloat16(device):  # its kernels compute in it
        fastcpu.patch(net)
    average = copy.deepcopy(net).eval()
    teachers = [load(args.work / "runs" / t, device) for t in args.teacher]
    plain = [p for p in net.parameters() if p.ndim < 2]
    weights = [p for p in net.parameters() if p.ndim >= 2]
    optimizer = torch.optim.AdamW([{"params": weights, "weight_decay": args.decay},
                                   {"params": plain, "weight_decay": 0.0}], lr=args.rate)
    step, best, spent = 0, 1e9, 0.0
    if (run / "last.pt").exists():
        saved = torch.load(run / "last.pt", map_location=device)
        net.load_state_dict(saved["net"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        step, best, spent = saved["step"], saved["best"], saved["spent"]
    sampler = data.Sampler(train, clean, degraded, copies, args.seed * 1000 + step,
                           args.clean_share, args.same_source)
    sampler.tag_of = {t: i for i, t in enumerate(tags)}
    g = torch.Generator().manual_seed(args.seed * 1000 + step)
    begun, warm = time.time(), max(1, min(100, args.steps // 10))

    def store(path, **extra):
        torch.save({"model": args.model, "bank": args.bank, "hold_out": args.hold_out, "n_aux": len(tags), "step": step,
                    "weights": average.state_dict(), **extra}, path)

    bar = tqdm(total=args.steps, initial=step, mininterval=5, smoothing=0.1, ncols=100)
    while step < args.steps:
        minutes = (spent + time.time() - begun) / 60
        share = min(1.0, max(step / args.steps, minutes / args.minutes))
        rate = args.rate * min(1, (step + 1) / warm) * (0.02 + 0.49 * (1 + math.cos(math.pi * share)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        ramp = min(1.0, share / args.ramp) if args.ramp else 1.0  # from clean clips to the full degradation
        strength = args.strength * ramp
        sampler.clean_share = 1 - (1 - args.clean_share) * ramp
        db, label, tag = sampler.batch(args.batch)
        x = data.image(data.degrade_features(
            db, args.bank, noise.random_windows(len(db), sampler.rng), g, strength, args.noisy * ramp))
        x = data.mask(x, g, times=round(2 * strength))
        target = F.one_hot(label, 2).float()
        aux_weight = (tag >= 0).float()
        if float(torch.rand((), generator=g)) < args.mixup * ramp:
            other = torch.randperm(len(x), generator=g)
            lam = torch.distributions.Beta(0.4, 0.4).sample((len(x),))
            lam = torch.maximum(lam, 1 - lam)
            x = lam.view(-1, 1, 1, 1) * x + (1 - lam).view(-1, 1, 1, 1) * x[other]
            target = lam.view(-1, 1) * target + (1 - lam).view(-1, 1) * target[other]
            aux_weight = aux_weight * lam
        x = x.to(device).contiguous(memory_format=torch.channels_last)
        target, tag, aux_weight = target.to(device), tag.to(device), aux_weight.to(device)
        net.train()
        with low_precision(device):
            logits, aux = net(x)
        logits, aux = logits.float(), aux.float()
        loss = F.cross_entropy(logits, target, label_smoothing=0.05)
        hard = loss.item()
        if teachers:
            with torch.no_grad(), low_precision(device):
                outputs = [t(x)[0].float() for t in teachers]
                wanted = teachers[0].pooled.float()
                soft = sum(F.softmax(o / 2, 1) for o in outputs) / len(teachers)
            distance = F.kl_div(F.log_softmax(logits / 2, 1), soft, reduction="batchmean") * 4
            loss = (1 - args.distil) * loss + args.distil * distance
            if net.pooled.shape == wanted.shape:
                error = (net.pooled.float() - wanted).square().mean(0)
                loss = loss + args.hint * (error / (wanted.var(0) + 1e-3)).mean()
        tagged = F.cross_entropy(aux, tag.clamp(min=0), reduction="none")
        loss = loss + 0.3 * (tagged * aux_weight).sum() / len(x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
        step += 1
        bar.update(1)
        decay = min(args.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for a, b in zip(average.state_dict().values(), net.state_dict().values()):
                if a.dtype.is_floating_point:
                    a.lerp_(b, 1 - decay)
        if step % 20 == 0:
            bar.set_postfix(loss=f"{hard:.3f}", tag=f"{tagged.mean():.2f}", refresh=False)
        finished = step == args.steps or share == 1.0
        if step % args.evaluate_every == 0 or finished:
            result = evaluate(average, sets, device)
            line = dict(step=step, minutes=round(minutes, 1), loss=round(hard, 3),
                        **{k: [round(v, 1) for v in values] for k, values in result.items()})
            with open(run / "log.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            tqdm.write(json.dumps(line))
            mean = float(np.mean([v[0] for v in result.values()]))
            if mean < best:
                best = mean
                store(run / "best.pt", result=result)
            torch.save(dict(net=net.state_dict(), average=average.state_dict(), step=step,
                            optimizer=optimizer.state_dict(), best=best,
                            spent=spent + time.time() - begun), run / "last.pt")
        if finished:
            break
    store(run / "final.pt", result=evaluate(average, sets, device))


if __name__ == "__main__":
    main()
