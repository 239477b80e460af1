"""Checkpoints with random weights, and what transformers, librosa and Pillow make of them.

    pip install torch transformers librosa pillow matplotlib numpy && python reference.py FOLDER

Writes into FOLDER for each case a checkpoint as `save_pretrained` leaves it, random inputs and
sounds, and `reference.json`: the options that `bonafide model import` needs to be told, and the
logits of every input and sound. `tests/model_import.rs` runs it.
"""

import json
import sys
import time
import wave
from pathlib import Path

import librosa
import matplotlib
import numpy as np
import torch
from PIL import Image
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextImageProcessor,
    ConvNextV2Config,
    ConvNextV2ForImageClassification,
)

IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
FAKE_REAL = {0: "fake", 1: "real"}
BONAFIDE_SPOOF = {0: "Bona-Fide", 1: "Spoof"}
SMALL = dict(depths=[1, 1, 2, 1], hidden_sizes=[16, 32, 64, 128])

# Drawing: rate, n_fft, hop, n_mels, frames, colour map, low_at_bottom. Processor: as transformers'.
CASES = {
    "square_gray": dict(
        model=dict(SMALL, id2label=FAKE_REAL),
        processor=dict(size={"shortest_edge": 224}, crop_pct=0.875, resample=3),
        drawing=(16000, 1024, 160, 224, 224, "gray", False),
    ),
    "narrow_magma": dict(
        model=dict(depths=[2, 1, 1, 2], hidden_sizes=[24, 40, 56, 72], id2label=BONAFIDE_SPOOF),
        processor=dict(size={"shortest_edge": 224}, crop_pct=0.875, resample=3, **IMAGENET),
        drawing=(22050, 2048, 512, 224, 87, "magma", True),
    ),
    "wide_viridis_v2": dict(
        generation=2,
        model=dict(SMALL, id2label={0: "AIGenerated", 1: "human"}),
        processor=dict(size={"shortest_edge": 224}, resample=2, **IMAGENET),
        drawing=(16000, 1024, 160, 128, 200, "viridis", False),
    ),
    "one_channel_as_drawn": dict(
        model=dict(depths=[1, 2, 1], hidden_sizes=[16, 24, 32], num_stages=3, num_channels=1, patch_size=2,
                   hidden_act="relu", layer_norm_eps=1e-3, id2label=BONAFIDE_SPOOF),
        processor=dict(do_resize=False, image_mean=[0.4], image_std=[0.25]),
        drawing=(16000, 512, 200, 96, 150, "gray", True),
        round_down=True,
    ),
    "warped_inferno_f16_shards": dict(
        model=dict(SMALL, hidden_act="gelu_new", layer_scale_init_value=0.0, id2label=FAKE_REAL),
        processor=dict(size={"shortest_edge": 384}, resample=3, do_normalize=False),
        drawing=(16000, 2048, 512, 128, 63, "inferno", True),
        dtype=torch.float16,
        shard="100KB",
    ),
    "not_rescaled_plasma_bf16_v2": dict(
        generation=2,
        model=dict(SMALL, hidden_act="silu", id2label=BONAFIDE_SPOOF),
        processor=dict(size={"shortest_edge": 96}, resample=0, do_rescale=False, image_mean=[120.0, 99.0, 80.0],
                       image_std=[60.0, 50.0, 70.0]),
        drawing=(16000, 1024, 256, 80, 128, "plasma", False),
        dtype=torch.bfloat16,
    ),
    # The published size.
    "tiny": dict(
        model=dict(id2label=FAKE_REAL),
        processor=dict(size={"shortest_edge": 224}, crop_pct=0.875, resample=3, **IMAGENET),
        drawing=(16000, 2048, 512, 224, 224, "gray", False),
        timed=True,
    ),
}


def randomise(model, rng):
    """Every tensor matters: none near zero, as a trained network's, not as a fresh one's."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("layer_scale_parameter"):
                p.uniform_(0.1, 1.0, generator=rng)
            elif "grn" in name:
                p.normal_(0.3, 0.5, generator=rng)
            elif "norm" in name or "downsampling_layer.0" in name:
                (p.uniform_(0.5, 1.5, generator=rng) if name.endswith("weight") else p.normal_(0, 0.2, generator=rng))
            elif p.ndim == 1:
                p.normal_(0, 0.1, generator=rng)
            else:
                p.normal_(0, p[0].numel() ** -0.5, generator=rng)


def voice(rate, samples, seed):
    """Something that the gate takes for speech: gliding pulses through resonances, in syllables."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / rate
    pitch = (105 + 30 * seed) * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * t + seed))
    sound = np.diff(np.floor(np.cumsum(pitch) / rate), prepend=0.0) + 0.002 * rng.standard_normal(samples)
    for hz, width in ((600 + 90 * seed, 90), (1300, 110), (2500 + 200 * seed, 160)):
        r = np.exp(-np.pi * width / rate)
        a, b = 2 * r * np.cos(2 * np.pi * hz / rate), -r * r
        y1 = y2 = 0.0
        out = np.empty(samples)
        for i, x in enumerate(sound):
            y1, y2 = x * (1 - r) + a * y1 + b * y2, y1
            out[i] = y1
        sound = out
    sound *= np.sin(np.pi * (2.5 + 0.4 * seed) * t) ** 2
    return np.round(sound / np.abs(sound).max() * 16000).astype(np.int16)


def draw(y, rate, n_fft, hop, n_mels, colour_map, low_at_bottom, round_down, channels):
    mel = librosa.feature.melspectrogram(y=y, sr=rate, n_fft=n_fft, hop_length=hop, n_mels=n_mels)
    x = (librosa.power_to_db(mel, ref=np.max, top_db=80.0) + 80.0) / 80.0
    x = np.flipud(x) if low_at_bottom else x
    if colour_map != "gray":
        return Image.fromarray(matplotlib.colormaps[colour_map](x, bytes=True)[:, :, :3])
    gray = (x * 255 if round_down else np.round(x * 255)).astype(np.uint8)
    # The processor takes one channel as an array only.
    return Image.fromarray(gray).convert("RGB") if channels == 3 else gray[:, :, None]


def listen(model, image, flipped):
    """Turns the classifier towards what tells an image from the same one upside down, as training
    would have: their scores are 2 nats apart, around 0. Else nothing that is drawn would matter."""
    with torch.no_grad():
        features = [model.base_model(x).pooler_output[0] for x in (image, flipped)]
        apart = features[0] - features[1]
        weight, bias = model.classifier.weight, model.classifier.bias
        for row, sign in ((0, -1.0), (1, 1.0)):
            weight[row] += (sign - apart @ weight[row]) / (apart @ apart) * apart
            bias[row] -= weight[row] @ (features[0] + features[1]) / 2


def make(folder, name, case, seed):
    folder = folder / name
    folder.mkdir(parents=True)
    rng = torch.Generator().manual_seed(seed)
    config, network = {
        1: (ConvNextConfig, ConvNextForImageClassification),
        2: (ConvNextV2Config, ConvNextV2ForImageClassification),
    }[case.get("generation", 1)]
    labels = case["model"]["id2label"]
    model = network(config(**case["model"], label2id={v: k for k, v in labels.items()})).eval()
    randomise(model, rng)
    processor = ConvNextImageProcessor(**case["processor"])
    processor.save_pretrained(folder / "checkpoint")

    rate, n_fft, hop, n_mels, frames, colour_map, low_at_bottom = case["drawing"]
    round_down, channels = case.get("round_down", False), model.config.num_channels
    seen = []
    for sound in range(2):
        # As many samples as give this number of frames, and no frame is centred behind the last.
        samples = voice(rate, (frames - 1) * hop + hop // 2, sound)
        with wave.open(str(folder / f"{sound}.wav"), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
        y = samples.astype(np.float32) / 32768
        pixels = []
        for flipped in (False, True):
            image = draw(y, rate, n_fft, hop, n_mels, colour_map, low_at_bottom != flipped, round_down, channels)
            assert (np.asarray(image).shape[:2]) == (n_mels, frames)
            format = {} if channels == 3 else {"input_data_format": "channels_last"}
            pixels.append(processor(image, return_tensors="pt", **format)["pixel_values"])
        seen.append(pixels)
    listen(model, *seen[0])
    # Reference and checkpoint hold the same values, in whatever precision they were saved.
    model = model.to(case.get("dtype", torch.float32))
    model.save_pretrained(folder / "checkpoint", max_shard_size=case.get("shard", "5GB"))
    model = model.float()
    x = torch.randn(seen[0][0].shape, generator=rng)
    np.save(folder / "input.npy", x.numpy())
    with torch.no_grad():
        logits = model(x).logits[0].tolist()
        sounds = [
            {
                "path": str(folder / f"{sound}.wav"),
                "logits": model(drawn).logits[0].tolist(),
                "upside_down": model(flipped).logits[0].tolist(),
            }
            for sound, (drawn, flipped) in enumerate(seen)
        ]
        times = []
        for _ in range(9 if case.get("timed") else 0):
            start = time.perf_counter()
            model(x)
            times.append(1000 * (time.perf_counter() - start))
    options = f"--sample-rate {rate} --n-fft {n_fft} --hop {hop} --n-mels {n_mels} --frames {frames}"
    options += f" --colour-map {colour_map} {'--low-at-bottom' if low_at_bottom else '--low-at-top'}"
    options += " --round-down" if round_down else ""
    return {
        "name": name,
        "checkpoint": str(folder / "checkpoint"),
        "options": options.split(),
        # Of the spoof class.
        "spoof": [i for i, label in labels.items() if label in ("fake", "Spoof", "AIGenerated")][0],
        "shape": list(x.shape),
        "input": str(folder / "input.npy"),
        "logits": logits,
        "sounds": sounds,
        "torch_ms": float(np.median(times)) if times else None,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    entries = np.arange(256)
    maps = {
        name: matplotlib.colormaps[name](entries, bytes=True)[:, :3].tolist()
        for name in ("magma", "viridis", "inferno", "plasma")
    }
    cases = [make(folder, name, case, seed) for seed, (name, case) in enumerate(CASES.items())]
    (folder / "reference.json").write_text(json.dumps({"cases": cases, "colour_maps": maps}, indent=1))
