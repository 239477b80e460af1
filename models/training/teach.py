"""What a finished committee says of the training clips, for smaller networks to learn from.

    python teach.py --work WORK --model WORK/committee.onnx

Runs the ONNX model over the undegraded training clips, a window each data.HOP frames, and writes
WORK/opinions.npz: for each clip its logit differences (spoof - bona fide), float32 [windows].  train.py
--opinions then asks of a network that hears a degraded copy what the committee said of the clean clip at
that place: it learns to hear through the telephone what can be heard without.  Our own voices (voices.py)
are left out: a committee that has never met them knows nothing of them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import data
import export


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--features", default="features", help="folder below --work")
    p.add_argument("--model", type=Path, required=True, help="ONNX file; what it looks at begins with mel bands")
    args = p.parse_args()
    torch.set_num_threads(1)
    run, opinions = export.session(args.model), {}
    clean = data.Features(args.work / args.features / "clean", slice(run.get_inputs()[0].shape[2]))
    for row in tqdm(data.read_manifest(args.work)):
        if row["split"] == "train" and row["source_repo"] != "own":
            path, count = row["path"], clean.index[row["path"]][1]
            starts = range(0, max(1, count - data.WINDOW + 1), data.HOP)
            windows = data.image(torch.from_numpy(np.stack([clean.window(path, s) for s in starts])))
            logits = [run.run(None, {"pixel_values": w[None].numpy()})[0][0] for w in windows]
            opinions[path] = np.array([spoof - bonafide for bonafide, spoof in logits], np.float32)
    np.savez(args.work / "opinions.npz", **opinions)


if __name__ == "__main__":
    main()
