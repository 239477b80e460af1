"""What `cargo xtask bench` compares with: the published path as people run it, and the machine's peak.

peer.py make FOLDER             a ConvNeXt-Tiny with random weights and its image processor
peer.py judge FOLDER WAV...     librosa -> Pillow -> transformers; prints each clip's probability of "fake"
peer.py flops ONNX...           multiplications and additions of one window, for each file
peer.py peak                    what numpy and torch reach in sgemm on one thread, GFLOP/s, the better one

Packages: models/training/requirements.txt. One thread: the caller sets OMP_NUM_THREADS and the like.
"""

import sys
import time


def make(folder):
    import torch
    from transformers import ConvNextConfig, ConvNextForImageClassification, ConvNextImageProcessor

    torch.manual_seed(1)
    labels = {0: "fake", 1: "real"}
    config = ConvNextConfig(id2label=labels, label2id={v: k for k, v in labels.items()})
    ConvNextForImageClassification(config).save_pretrained(folder)
    # The class's own defaults are for 384 pixels.
    ConvNextImageProcessor(size={"shortest_edge": 224}).save_pretrained(folder)


def judge(folder, *clips):
    import librosa
    import numpy as np
    import torch
    from PIL import Image
    from transformers import ConvNextForImageClassification, ConvNextImageProcessor

    torch.set_num_threads(1)
    model = ConvNextForImageClassification.from_pretrained(folder).eval()
    processor = ConvNextImageProcessor.from_pretrained(folder)
    for clip in clips:
        y, rate = librosa.load(clip, sr=16000)
        mel = librosa.feature.melspectrogram(y=y, sr=rate)
        x = (librosa.power_to_db(mel, ref=np.max) + 80.0) / 80.0
        image = Image.fromarray(np.round(x * 255).astype(np.uint8)).convert("RGB")
        with torch.inference_mode():
            logits = model(**processor(image, return_tensors="pt")).logits[0]
        print(f"{torch.softmax(logits, 0)[0]:.6f}", flush=True)


def flops(*paths):
    import onnx
    from onnx import numpy_helper

    for path in paths:
        graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
        shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        for value in [*graph.input, *graph.value_info, *graph.output]:
            # A batch of any size is a batch of one.
            shapes[value.name] = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
        for node in graph.node:
            if node.op_type == "Constant":
                shapes[node.output[0]] = list(numpy_helper.to_array(node.attribute[0].t).shape)

        def size(name):
            product = 1
            for d in shapes[name]:
                product *= d
            return product

        total = 0
        for node in graph.node:
            if node.op_type == "Conv":
                weights = shapes[node.input[1]]
                total += 2 * size(node.output[0]) * size(node.input[1]) // weights[0]
            elif node.op_type == "MatMul":
                total += 2 * size(node.output[0]) * shapes[node.input[0]][-1]
            elif node.op_type == "Gemm":
                transposed = any(a.name == "transA" and a.i for a in node.attribute)
                total += 2 * size(node.output[0]) * shapes[node.input[0]][0 if transposed else -1]
        print(total)


def peak():
    import numpy as np
    import torch

    torch.set_num_threads(1)
    n = 1024
    a, b = (np.random.default_rng(i).standard_normal((n, n), dtype=np.float32) for i in (1, 2))
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    best = 0.0
    for multiply in (lambda: a @ b, lambda: ta @ tb):
        for _ in range(20):
            start = time.perf_counter()
            multiply()
            best = max(best, 2 * n**3 / (time.perf_counter() - start) / 1e9)
    print(f"{best:.2f}")


if __name__ == "__main__":
    {"make": make, "judge": judge, "flops": flops, "peak": peak}[sys.argv[1]](*sys.argv[2:])
