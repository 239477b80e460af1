"""The default model from nothing: every step of README.md, in order.

    python run.py --work WORK                      # the default model: one to two hours on two cores
    python run.py --work WORK --hold-out           # the same networks without the harder folds, and their rates there
    python run.py --work WORK --small              # the same steps in minutes, on synthetic speech

Started again, it goes on with the step that was interrupted; the steps themselves resume too.  A
step whose command has changed runs again, and so do all after it; --hold-out shares what comes before
training.  The model and its manifest end up as WORK/bonafide-small.onnx and .toml; copied to models/,
they are the default.
On synthetic speech a ConvNeXt and its teachers are trained too and the model quantised, as tests.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A step each: a command line, words in braces filled in from below and from the options; those
# marked `small` only on synthetic speech.  What export.py prints becomes the manifest.
STEPS = """
python synthetic.py {corpus}                                                                # small
python voices.py --corpus {corpus} --work {work} --clips {clips}
python augment.py --corpus {corpus} --work {work} --copies {copies}
python resynthesise.py --corpus {corpus} --work {work}
bonafide features {work}/manifest.csv --root {corpus} --model {models}/training/features.toml --out {work}/features/clean
bonafide features {work}/aug/list.csv --root {work}/aug --model {models}/training/features.toml --out {work}/features/degraded
bonafide features {work}/single/list.csv --root {work}/single --model {models}/training/features.toml --out {work}/features/single
bonafide features {work}/resynth/list.csv --root {work}/resynth --model {models}/training/features.toml --out {work}/features/resynth
bonafide features {work}/noise/list.csv --root {work}/noise --model {models}/training/features.toml --out {work}/features/noise
python train.py --work {work} --name {h}delay --seed 72 --steps {early} --evaluate-every {every} {delay} {hold_out}
python train.py --work {work} --name {h}small-linear --bank linear --model mini --noisy 0.5 --seed 22 --steps {steps} --evaluate-every {every} {hold_out}
python train_judge.py --work {work} --name {h}statistics --steps {layer} {hold_out}
python train_judge.py --work {work} --name {h}delay-judged --body {h}delay --steps {layer} {hold_out}
python train_judge.py --work {work} --name {h}small-linear-judged --body {h}small-linear --steps {layer} {hold_out}
python train_fusion.py --work {work} --name {h}fused --members {h}small-linear-judged {h}statistics {h}statistics {h}delay-judged --steps {listener} {hold_out}
python export.py --work {work} --name fused --output {work}/bonafide-small.onnx
bonafide eval --model {work}/bonafide-small.toml --split dev {corpus}/manifest.csv --scores {work}/scores.csv
python train.py --work {work} --name mel-1 --bank mel --seed 11 --steps {every} --evaluate-every {every}    # small
python train.py --work {work} --name mel-2 --bank mel --seed 12 --steps {every} --evaluate-every {every}    # small
python train.py --work {work} --name convnext --bank mel --model tiny --teacher mel-1 mel-2 --steps {every} --evaluate-every {every}    # small
python export.py --work {work} --name convnext --output {work}/bonafide-convnext.onnx    # small
bonafide eval --model {work}/bonafide-convnext.toml --split dev {corpus}/manifest.csv    # small
bonafide features {work}/manifest.csv --root {corpus} --images --out {work}/images    # small
python quantize.py --model {work}/bonafide-small.toml --images {work}/images/images.npy --out {work}/int8    # small
bonafide eval --model {work}/int8/bonafide-small-int8.toml --split dev {corpus}/manifest.csv    # small
"""
DELAY = """--bank fine --model delay --clean-share 0.9 --noisy 0.15 --strength 0 --mixup 0 --ramp 0 --batch 48 --rate 3e-3
    --decay 0.1 --average 0.99"""
FULL = dict(clips=200, copies=8, steps=1800, early=1200, layer=500, listener=800, every=600)
SMALL = dict(clips=8, copies=2, steps=40, early=40, layer=100, listener=100, every=20)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, required=True, help="folder outside the repository, 25 GB")
    p.add_argument("--corpus", type=Path, help="default: ../shared/corpus, or synthetic if --small")
    p.add_argument("--small", action="store_true", help="few steps: a test of the pipeline")
    p.add_argument("--hold-out", action="store_true", help="leave the harder folds out; ends with folds.py")
    p.add_argument("--bonafide", help="the program; default: cargo run --release --")
    return p.parse_args()


def commands(args):
    """The steps as lists of words, with what stands for python and bonafide left as it is."""
    synthetic = args.small and not args.corpus
    corpus = args.corpus or (args.work / "corpus" if synthetic else HERE / "../../../shared/corpus")
    words = dict(SMALL if args.small else FULL, delay=DELAY, h="h-" * args.hold_out,
                 hold_out="--hold-out" * args.hold_out, work=shlex.quote(str(args.work.resolve())),
                 corpus=shlex.quote(str(corpus.resolve())), models=shlex.quote(str(HERE.parent)))
    for line in STEPS.strip().splitlines():
        line, _, condition = line.partition("#")
        if args.hold_out and line.startswith("python export.py"):
            yield shlex.split("python folds.py --work {work} --name h-fused".format(**words))
            return
        if synthetic or not condition:
            yield shlex.split(line.format(**words))


def program(command, args):
    """What is run: this Python on a script beside this file, or the program."""
    if command[0] == "python":
        return [sys.executable, str(HERE / command[1]), *command[2:]]
    if args.bonafide:
        return [args.bonafide, *command[1:]]
    manifest = str(HERE / "../../Cargo.toml")
    return ["cargo", "run", "--release", "--quiet", "--manifest-path", manifest, "--", *command[1:]]


def run(command, args):
    """Runs one step; returns what export.py printed, which also goes to the screen."""
    if "export.py" not in command:
        subprocess.run(program(command, args), check=True)
        return None
    printed = subprocess.run(program(command, args), check=True, stdout=subprocess.PIPE, text=True)
    print(printed.stdout, end="")
    return printed.stdout


def with_values(manifest, values):
    """The text of a manifest with other values (as TOML writes them) for keys that it has once each."""
    text = manifest.read_text()
    for key, value in values.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value.strip()}", text, flags=re.MULTILINE)
        if count != 1:
            raise SystemExit(f"{manifest} has {count} lines `{key} = …`, not one")
    return text


def write_manifest(printed, out):
    """The manifest of that name in models/ with the values that export.py printed."""
    form = HERE / ".." / out.name
    if not form.exists():
        return
    values = re.findall(r"^(sha256|mean|std|slope|offset) = ([^#\n]+)", printed, re.MULTILINE)
    out.write_text(with_values(form, dict(values)))


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    logs = [args.work / name for name in ("done.json", "held-out.json")]
    log, other = reversed(logs) if args.hold_out else logs
    done = next((json.loads(log.read_text()) for log in (log, other) if log.exists()), [])
    steps = list(commands(args))
    finished = next((i for i, step in enumerate(steps) if done[i:i + 1] != [step]), len(steps))
    for number, step in enumerate(steps[finished:], finished):
        print(f"[{number + 1}/{len(steps)}] {shlex.join(step)}", flush=True)
        try:
            printed = run(step, args)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise SystemExit(f"step {number + 1} failed ({error}); the same command goes on there")
        if printed is not None:
            write_manifest(printed, Path(step[-1]).with_suffix(".toml"))
        log.write_text(json.dumps(steps[:number + 1], indent=1))
    if not args.hold_out:
        print(f"Done: {args.work / 'bonafide-small.onnx'} and .toml")


if __name__ == "__main__":
    main()
