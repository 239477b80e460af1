"""What PyTorch and librosa say about the windows that `bonafide eval --scores` judged.

    python pytorch_scores.py WORK

Prints `largest difference: …` between the two probabilities of spoof, and how many windows were
compared.  The sound is read anew and its spectrogram computed by librosa, so that nothing of the
Rust program takes part: only the trained network, the image and the manifest's calibration.
"""

import csv
import json
import sys
import tomllib
from pathlib import Path

import librosa
import numpy as np
import soundfile as sf
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models/training"))
import data
import front_ends
import model as models
import train


def filters(front):
    """Triangular bands, [bands, bins]: librosa's, or of one width in hertz, which it lacks."""
    rate, n_fft, bands = front["sample_rate"], front["n_fft"], front["n_mels"]
    scale, norm = front.get("mel_scale", "slaney"), front.get("mel_norm", "slaney")
    if scale != "linear":
        return librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands, fmin=front["f_min"],
                                   fmax=front["f_max"], htk=scale == "htk",
                                   norm=None if norm == "none" else norm)
    low, middle, high = (np.linspace(front["f_min"], front["f_max"], bands + 2)[i:i + bands, None]
                         for i in range(3))
    hz = np.fft.rfftfreq(n_fft, 1 / rate)
    area = 2 / (high - low) if norm == "slaney" else 1.0
    return area * np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)).clip(0)


def spectrogram(path, front):
    """float32 [frames, bands] in dB of a whole file; no frame centred behind its last sample."""
    y, rate = sf.read(path, dtype="float32")
    assert rate == front["sample_rate"]
    spectrum = librosa.stft(y, n_fft=front["n_fft"], hop_length=front["hop"],
                            win_length=front["win_length"], pad_mode="constant")
    power = filters(front) @ np.abs(spectrum) ** 2
    frames = -(-len(y) // front["hop"])
    return librosa.power_to_db(power[:, :frames], ref=1.0, amin=1e-10, top_db=None).T


def measures(path, front):
    """What is no level, [frames, values] of a whole file."""
    assert front["hop"] == front_ends.HOP
    y, _ = sf.read(path, dtype="float32")
    parts = [front_ends.comodulation(y, **front["comodulation"]), front_ends.residual(y, **front["residual"])]
    return np.concatenate(parts, 1)


def network(work):
    """What export.py was told to export, in PyTorch."""
    steps = json.loads((work / "done.json").read_text())
    export = next(s for s in steps if "export.py" in s and s[-1].endswith("bonafide-small.onnx"))
    names = export[export.index("--name") + 1:]
    names = names[:next((i for i, word in enumerate(names) if word.startswith("--")), len(names))]
    weights = export[export.index("--weights") + 1] if "--weights" in export else "final.pt"
    return models.Committee([train.load(work / "runs" / n, "cpu", weights) for n in names],
                            data.BANKS).eval()


def main():
    work = Path(sys.argv[1])
    manifest = tomllib.loads((work / "bonafide-small.toml").read_text())
    front, fit = manifest["front_end"], manifest["calibration"]
    length = manifest["window"]["frames"]
    net = network(work)
    with open(work / "scores.csv", newline="") as f:
        windows = [(r["path"], float(r["start_s"]), float(r["llr"])) for r in csv.DictReader(f)]
    rows = {path: np.concatenate([spectrogram(path, front), measures(path, front)], 1) for path, _, _ in windows}
    db = []
    for path, start, _ in windows:
        first = round(start * front["sample_rate"] / front["hop"])
        db.append(rows[path][first:first + length])
    images = data.image(torch.from_numpy(np.stack(db).astype(np.float32)))
    expected = [llr for _, _, llr in windows]
    with torch.no_grad():
        logits = torch.cat([net(x)[0] for x in images.split(16)])
    llr = fit["slope"] * (logits[:, 1] - logits[:, 0]).double().numpy() + fit["offset"]
    p, q = 1 / (1 + np.exp(-llr)), 1 / (1 + np.exp(-np.array(expected)))
    print(f"spread of the scores: {p.min():.3f} to {p.max():.3f}")
    print(f"windows: {len(p)}")
    print(f"largest difference: {np.abs(p - q).max():.6f}")


if __name__ == "__main__":
    main()
