"""A model in int8: static (QDQ, calibrated) and dynamic, each an ONNX file with its manifest.

    bonafide features list.csv --root CLIPS --model M.toml --images --out WORK
    python quantize.py --model M.toml --images WORK/images.npy --out WORK

Writes WORK/M-int8.onnx (static: weights int8 per channel, activations uint8, ranges of all images) and
WORK/M-int8-dynamic.onnx (activations' ranges found anew for each window), and prints size, time of a window
on one thread, and how far the log-likelihood ratios of the images are from the float32 model's.  Whether it
may replace the model, `bonafide eval --model WORK/M-int8.toml` says.  onnxruntime.quantization does the work.
"""

import argparse
import hashlib
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
from onnxruntime.quantization import (CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic,
                                      quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process

import export
from run import with_values


class Images(CalibrationDataReader):
    def __init__(self, images, name):
        self.left = iter([{name: image[None]} for image in images])

    def get_next(self):
        return next(self.left, None)


def write_manifest(manifest, onnx):
    """The float32 model's manifest for another file: calibration, threshold and front end stay."""
    values = dict(name=onnx.stem, file=onnx.name, sha256=hashlib.sha256(onnx.read_bytes()).hexdigest())
    quoted = {key: f'"{value}"' for key, value in values.items()}
    onnx.with_suffix(".toml").write_text(with_values(manifest, quoted))


def measure(path, images, slope):
    """(slope times the difference of the two logits, nats; median of a window's ms)."""
    run, each, found = export.session(path), [], []
    name = run.get_inputs()[0].name
    for image in images:
        begun = time.process_time()
        first, second = run.run(None, {name: image[None]})[0][0]
        each.append(time.process_time() - begun)
        found.append(slope * (second - first))
    return np.array(found), 1000 * float(np.median(each))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", type=Path, required=True, help="manifest of a float32 model")
    p.add_argument("--images", type=Path, required=True, help="images.npy of `bonafide features --images`")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--static", action="store_true", help="not the dynamic one")
    args = p.parse_args()
    manifest = tomllib.loads(args.model.read_text())
    source = args.model.parent / manifest["model"]["file"]
    images = np.load(args.images)
    name = export.session(source).get_inputs()[0].name
    slope = manifest.get("calibration", {}).get("slope", 1.0)
    args.out.mkdir(parents=True, exist_ok=True)
    static = args.out / f"{args.model.stem}-int8.onnx"
    dynamic = args.out / f"{args.model.stem}-int8-dynamic.onnx"
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(source, ready, skip_symbolic_shape=True)
        # Weights of 7 bits: without VNNI or the like, a processor adds two products of 8 and 8 bits in 16.
        quantize_static(ready, static, Images(images, name), quant_format=QuantFormat.QDQ, per_channel=True,
                        reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                        op_types_to_quantize=["Conv", "Gemm"])
        if not args.static:
            quantize_dynamic(ready, dynamic, per_channel=True, weight_type=QuantType.QInt8)
    made = (static,) if args.static else (static, dynamic)
    for path in made:
        write_manifest(args.model, path)
    paths = (source, *made)
    measured = [measure(path, images, slope) for path in paths]
    expected, _ = measured[0]
    print(f"{len(images)} windows{'':22}  MB  ms a window  nats apart: mean, largest")
    for path, (llr, ms) in zip(paths, measured):
        apart = np.abs(llr - expected)
        print(f"{path.stem:32} {path.stat().st_size / 1e6:5.1f}  {ms:11.2f}  "
              f"{apart.mean():16.3f}, {apart.max():7.3f}")


if __name__ == "__main__":
    main()
