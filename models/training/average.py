"""Weighted average of runs that share an ancestor ("model soup", arXiv:2203.05482; weights below
zero move away from a run, arXiv:2212.04089).

    python average.py --work WORK --name small b3=1.6 f5=-0.3 f6=-0.3

Writes WORK/runs/<name>/final.pt, from each run's best.pt if there is one, else its final.pt.
Weights must add up to 1.  Choose them by the area under the curve on dev, which moves less by
chance than the equal error rate.
"""

import argparse
from pathlib import Path

import torch


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--name", required=True)
    p.add_argument("runs", nargs="+", metavar="RUN=WEIGHT")
    args = p.parse_args()
    parts = []
    for run in args.runs:
        name, _, weight = run.partition("=")
        folder = args.work / "runs" / name
        file = folder / "best.pt" if (folder / "best.pt").exists() else folder / "final.pt"
        parts.append((float(weight), torch.load(file, map_location="cpu")))
    if abs(sum(weight for weight, _ in parts) - 1) > 1e-6:
        p.error("the weights must add up to 1")
    first = parts[0][1]
    mixed = {}
    for key, value in first["weights"].items():
        total = sum(weight * part["weights"][key].double() for weight, part in parts)
        mixed[key] = total.to(value.dtype)
    out = args.work / "runs" / args.name
    out.mkdir(parents=True, exist_ok=True)
    torch.save({**first, "weights": mixed}, out / "final.pt")


if __name__ == "__main__":
    main()
