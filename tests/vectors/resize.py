"""Reference vectors of image resizing, by Pillow.

    pip install pillow==11.3.0 numpy && python resize.py

Writes resize.npz beside this file: `image` (float32, 16 x 20, 0..1) and for each mode and size the
image resized by `Image.resize(…, Image.BICUBIC)`: `eight_bit/HxW` from mode L, `float/HxW` from
mode F, both 0..1.
"""

from pathlib import Path

import numpy as np
from PIL import Image

rng = np.random.default_rng(3)
image = rng.random((16, 20)).astype(np.float32)
arrays = {"image": image}
for height, width in ((14, 16), (32, 40), (9, 31)):
    eight = Image.fromarray(np.round(image * 255).astype(np.uint8))
    arrays[f"eight_bit/{height}x{width}"] = np.asarray(eight.resize((width, height), Image.BICUBIC), np.float32) / 255
    single = Image.fromarray(image)
    arrays[f"float/{height}x{width}"] = np.asarray(single.resize((width, height), Image.BICUBIC), np.float32)
np.savez_compressed(Path(__file__).with_name("resize.npz"), **arrays)
