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
import re
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
from onnxruntime.quantization import (CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic,
                                      quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process

import export


class Images(CalibrationDataReader):
    def __init__(self, images, name):
        self.left = iter([{name: image[None]} for image in images])

    def get_next(self):
        return next(self.left, None)


def write_manifest(manifest, name, onnx):
    """The float32 model's manifest for another file: calibration, threshold and front end stay."""
    text = manifest.read_text()
    values = dict(name=name, file=onnx.name, sha256=hashlib.sha256(onnx.read_bytes()).hexdigest())
    for key, value in values.items():
        text, count = re.subn(rf"^{key} = .*$", f'{key} = "{value}"', text, count=1, flags=re.MULTILINE)
        if count != 1:
            raise SystemExit(f"{manifest} has no line `{key} = …`")
    onnx.with_suffix(".toml").write_text(text)


def measure(path, images, slope):
    """(log-likelihood ratios less their offset, nats; median of a window's ms)."""
    run, each, llr = export.session(path), [], []
    name = run.get_inputs()[0].name
    for image in images:
        begun = time.process_time()
        bonafide, spoof = run.run(None, {name: image[None]})[0][0]
        each.append(time.process_time() - begun)
        llr.append(slope * (spoof - bonafide))
    return np.array(llr), 1000 * float(np.median(each))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", type=Path, required=True, help="manifest of a float32 model")
    p.add_argument("--images", type=Path, required=True, help="images.npy of `bonafide features --images`")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    manifest = tomllib.loads(args.model.read_text())
    source = args.model.parent / manifest["model"]["file"]
    images = np.load(args.images)
    name = export.session(source).get_inputs()[0].name
    slope = manifest.get("calibration", {}).get("slope", 1.0)
    if manifest["output"]["labels"][0] in ("spoof", "fake"):
        slope = -slope
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
        quantize_dynamic(ready, dynamic, per_channel=True, weight_type=QuantType.QInt8)
    expected, _ = measure(source, images, slope)
    print(f"{len(images)} windows{'':22}  MB  ms a window  nats apart: mean, largest")
    for path in (source, static, dynamic):
        if path != source:
            write_manifest(args.model, path.stem, path)
        llr, ms = measure(path, images, slope)
        apart = np.abs(llr - expected)
        print(f"{path.stem:32} {path.stat().st_size / 1e6:5.1f}  {ms:11.2f}  "
              f"{apart.mean():16.3f}, {apart.max():7.3f}")


if __name__ == "__main__":
    main()
